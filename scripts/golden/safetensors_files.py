"""Safetensors files written by the reference implementation, for tests/formats/safetensors_test.cpp.

Usage: python safetensors_files.py [OUTPUT_FOLDER]    (needs safetensors, numpy and torch)
"""
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

out = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2] / "tests/golden/safetensors"
out.mkdir(parents=True, exist_ok=True)

# Every dtype counts 0, 1, 2, ... so that the test needs no second copy of the values.
dtypes = {
    "f64": torch.float64,
    "f32": torch.float32,
    "f16": torch.float16,
    "bf16": torch.bfloat16,
    "i64": torch.int64,
    "i32": torch.int32,
    "i16": torch.int16,
    "i8": torch.int8,
    "u8": torch.uint8,
}
tensors = {name: torch.arange(6).reshape(2, 3).to(dtype) for name, dtype in dtypes.items()}
tensors["bool"] = torch.tensor([True, False, True])
tensors["scalar"] = torch.tensor(1.5)
tensors["empty"] = torch.zeros(0, 4)
tensors['quote"and\\slash é'] = torch.tensor([7], dtype=torch.uint8)
save_file(tensors, out / "all_dtypes.safetensors", metadata={"format": "pt", "note": "line\nbreak \u00fc"})
save_file({}, out / "no_tensors.safetensors")
