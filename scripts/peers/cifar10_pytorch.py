#!/usr/bin/env python3
"""The recipe of configs/image/cifar10_vit_{softmax,gfsa}.yaml in PyTorch: what docs/results.md compares with.

  python scripts/peers/cifar10_pytorch.py --data cifar10.tar.gz --attention softmax|gfsa [--epochs 10] [--seed 0] [--threads N]

--data: an archive with train/<class>/*.jpg and test/<class>/*.jpg. Explicit attention, A @ A for GFSA: the network of
scripts/golden/vit.py. Prints one JSON line an epoch. Needs torch, timm, numpy, pillow, safetensors (PyPI).
"""
import argparse
import io
import json
import math
import pathlib
import sys
import tarfile
import time

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "golden"))
from vit import Vit  # noqa: E402

MODEL = dict(width=96, depth=4, heads=3, patch=8, image=32, classes=10, pool="class_token", layer_scale=0.0)
GFSA = dict(K=3, w0=0.0)
BATCH, LR, WEIGHT_DECAY, WARMUP_EPOCHS, SMOOTHING = 128, 1e-3, 0.05, 1, 0.1
MEAN, STD = torch.tensor([0.4914, 0.4822, 0.4465]).view(1, 3, 1, 1), torch.tensor([0.2470, 0.2435, 0.2616]).view(1, 3, 1, 1)


def read(path):
    splits = {"train": [], "test": []}
    with tarfile.open(path) as archive:
        for member in archive:
            parts = pathlib.PurePath(member.name).parts
            if member.isfile() and len(parts) >= 3 and parts[-3] in splits:
                picture = Image.open(io.BytesIO(archive.extractfile(member).read())).convert("RGB")
                splits[parts[-3]].append((parts[-2], np.asarray(picture)))
    classes = sorted({name for name, _ in splits["train"]})
    return {split: (torch.from_numpy(np.stack([x for _, x in rows])).permute(0, 3, 1, 2).contiguous(),
                    torch.tensor([classes.index(name) for name, _ in rows])) for split, rows in splits.items()}


def normalise(x):
    return (x.float() / 255 - MEAN) / STD


def augment(x, generator):
    """Crop at random from the picture padded by 4 black pixels; flip half of them."""
    n = x.shape[0]
    padded = F.pad(x, (4, 4, 4, 4))
    top, left = torch.randint(0, 9, (2, n), generator=generator)
    flip = torch.rand(n, generator=generator) < 0.5
    rows = top.view(n, 1) + torch.arange(32)
    columns = left.view(n, 1) + torch.where(flip.view(n, 1), torch.arange(31, -1, -1), torch.arange(32))
    return padded[torch.arange(n).view(n, 1, 1), :, rows.view(n, 32, 1), columns.view(n, 1, 32)].permute(0, 3, 1, 2)


def initialise(net):
    """As timm's init_weights_vit_timm."""
    for module in net.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
            nn.init.zeros_(module.bias)
    nn.init.trunc_normal_(net.pos_embed, std=0.02)
    nn.init.normal_(net.cls_token, std=1e-6)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", required=True)
    p.add_argument("--attention", choices=["softmax", "gfsa"], required=True)
    p.add_argument("--epochs", type=int, default=10)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--threads", type=int)
    a = p.parse_args()
    if a.threads:
        torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    generator = torch.Generator().manual_seed(a.seed)
    data = read(a.data)
    net = Vit(MODEL, GFSA if a.attention == "gfsa" else None)
    initialise(net)
    exempt = [q for n, q in net.named_parameters() if q.dim() == 1 or n in ("pos_embed", "cls_token")]
    decayed = [q for n, q in net.named_parameters() if not (q.dim() == 1 or n in ("pos_embed", "cls_token"))]
    optimizer = torch.optim.AdamW([dict(params=decayed, weight_decay=WEIGHT_DECAY), dict(params=exempt, weight_decay=0.0)], lr=LR, fused=True)
    images, labels = data["train"]
    steps = len(images) // BATCH
    total, warmup, step, start = steps * a.epochs, steps * WARMUP_EPOCHS, 0, time.time()
    for epoch in range(a.epochs):
        order = torch.randperm(len(images), generator=generator)
        losses = []
        net.train()
        for b in range(steps):
            lr = LR * step / warmup if step < warmup else LR * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))
            for group in optimizer.param_groups:
                group["lr"] = lr
            index = order[b * BATCH:(b + 1) * BATCH]
            loss = F.cross_entropy(net(normalise(augment(images[index], generator))), labels[index], label_smoothing=SMOOTHING)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            losses.append(loss.item())
            step += 1
        net.eval()
        with torch.no_grad():
            right = sum((net(normalise(x)).argmax(1) == y).sum().item() for x, y in zip(*(t.split(500) for t in data["test"])))
        print(json.dumps(dict(attention=a.attention, epoch=epoch + 1, train_loss=sum(losses) / len(losses), top1=100 * right / len(data["test"][0]),
                              seconds=round(time.time() - start, 1))), flush=True)


if __name__ == "__main__":
    main()
