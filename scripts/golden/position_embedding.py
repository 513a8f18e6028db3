#!/usr/bin/env python3
"""Golden file for tests/models/position_embedding_test.cpp: timm's resample_abs_pos_embed.

  python scripts/golden/position_embedding.py [OUT]      needs torch, timm, numpy, safetensors (PyPI)
"""
import sys

import numpy as np
import torch
from safetensors.torch import save_file
from timm.layers import resample_abs_pos_embed

out = sys.argv[1] if len(sys.argv) > 1 else "tests/golden/position_embedding.safetensors"
rng = np.random.default_rng(7)
tensors = {}
for prefix, old, new in [(1, 4, 7), (1, 7, 4), (0, 5, 5), (0, 6, 11), (1, 8, 3)]:
    stored = torch.from_numpy(rng.normal(0, 1, (1, prefix + old * old, 6)).astype(np.float32))
    name = f"{prefix}_{old}_{new}"
    tensors[f"{name}/stored"] = stored
    tensors[f"{name}/resized"] = resample_abs_pos_embed(stored, [new, new], num_prefix_tokens=prefix).clone()
save_file(tensors, out, metadata=dict(torch=torch.__version__))
