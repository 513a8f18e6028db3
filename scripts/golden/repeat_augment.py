#!/usr/bin/env python3
"""Golden values of repeated augmentation: timm's RepeatAugSampler (DeiT's RASampler) for several sizes and ranks.

Writes tests/golden/repeat_augment.safetensors: `<case>.indices`, the permutation that timm drew, and `<case>.rank<r>`,
what rank r gets of it; a case is named n<samples>_r<repeats>_w<ranks>. Needs timm, torch, safetensors.
"""
import pathlib

import torch
from safetensors.torch import save_file
from timm.data.distributed_sampler import RepeatAugSampler

CASES = [(300, 3, 1), (300, 3, 4), (256, 3, 8), (100, 3, 1), (100, 3, 3), (517, 2, 2), (7, 3, 5)]
EPOCH = 3


def main():
    tensors = {}
    for samples, repeats, world in CASES:
        name = f"n{samples}_r{repeats}_w{world}"
        generator = torch.Generator()
        generator.manual_seed(EPOCH)
        tensors[f"{name}.indices"] = torch.randperm(samples, generator=generator)
        for rank in range(world):
            sampler = RepeatAugSampler(range(samples), num_replicas=world, rank=rank, num_repeats=repeats)
            sampler.set_epoch(EPOCH)
            tensors[f"{name}.rank{rank}"] = torch.tensor(list(sampler), dtype=torch.int64)
    out = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/repeat_augment.safetensors"
    save_file(tensors, out)


if __name__ == "__main__":
    main()
