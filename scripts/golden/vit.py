#!/usr/bin/env python3
"""Golden file for tests/models/vit_parity_test.cpp: what PyTorch computes for small ViTs with softmax and GFSA attention.

The network below is written for this file from timm's published VisionTransformer structure and from the definition of GFSA
(docs/architecture.md): explicit n x n matrices, A @ A. With softmax attention it is also checked here against timm itself.
Weights and images are drawn with numpy from a fixed seed, in float64; training runs in float64 and float32.

  python scripts/golden/vit.py [OUT]      needs torch, timm, numpy, safetensors (PyPI)
"""
import json
import sys

import numpy as np
import timm
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

CASES = {
    # name: model keys, attention
    "softmax_cls": (dict(width=24, depth=2, heads=2, patch=4, image=12, classes=5, pool="class_token", layer_scale=0.0), None),
    "softmax_mean_ls": (dict(width=16, depth=3, heads=4, patch=4, image=8, classes=4, pool="mean", layer_scale=0.3), None),
    "gfsa_k2": (dict(width=24, depth=2, heads=2, patch=4, image=12, classes=5, pool="class_token", layer_scale=0.0), dict(K=2, w0=0.0)),
    "gfsa_k3_w0": (dict(width=24, depth=2, heads=3, patch=4, image=12, classes=5, pool="class_token", layer_scale=0.0), dict(K=3, w0=-0.05)),
    "gfsa_k4_mean": (dict(width=16, depth=3, heads=2, patch=4, image=8, classes=4, pool="mean", layer_scale=0.1), dict(K=4, w0=0.0)),
}
BATCH, STEPS = 6, 20
LR, WEIGHT_DECAY = 2e-3, 0.05


class Attention(nn.Module):
    def __init__(self, c, gfsa):
        super().__init__()
        self.heads, self.gfsa_keys = c["heads"], gfsa
        self.qkv, self.proj = nn.Linear(c["width"], 3 * c["width"]), nn.Linear(c["width"], c["width"])
        if gfsa:
            self.gfsa = nn.Module()
            self.gfsa.wK = nn.Parameter(torch.zeros(c["heads"]))

    def forward(self, x):
        b, n, w = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, w // self.heads).permute(2, 0, 3, 1, 4)
        a = (q @ k.transpose(-2, -1) * (w // self.heads) ** -0.5).softmax(-1)
        if self.gfsa_keys:
            order, w0 = self.gfsa_keys["K"], self.gfsa_keys["w0"]
            power = a + (order - 1) * (a @ a - a)
            a = w0 * torch.eye(n, dtype=a.dtype) + a + self.gfsa.wK.view(1, -1, 1, 1) * power
        return self.proj((a @ v).transpose(1, 2).reshape(b, n, w))


class Mlp(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class Scale(nn.Module):
    def __init__(self, width, value):
        super().__init__()
        self.gamma = nn.Parameter(torch.full((width,), value))

    def forward(self, x):
        return x * self.gamma


class Block(nn.Module):
    def __init__(self, c, gfsa):
        super().__init__()
        w, scale = c["width"], c["layer_scale"]
        self.norm1, self.attn = nn.LayerNorm(w, eps=1e-6), Attention(c, gfsa)
        self.ls1 = Scale(w, scale) if scale else nn.Identity()
        self.norm2, self.mlp = nn.LayerNorm(w, eps=1e-6), Mlp(w)
        self.ls2 = Scale(w, scale) if scale else nn.Identity()

    def forward(self, x):
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp(self.norm2(x)))


class PatchEmbed(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.proj = nn.Conv2d(3, c["width"], c["patch"], c["patch"])

    def forward(self, x):
        return self.proj(x).flatten(2).transpose(1, 2)


class Vit(nn.Module):
    def __init__(self, c, gfsa):
        super().__init__()
        self.c, w = c, c["width"]
        tokens = (c["image"] // c["patch"]) ** 2 + (c["pool"] == "class_token")
        if c["pool"] == "class_token":
            self.cls_token = nn.Parameter(torch.zeros(1, 1, w))
        self.pos_embed = nn.Parameter(torch.zeros(1, tokens, w))
        self.patch_embed = PatchEmbed(c)
        self.blocks = nn.ModuleList(Block(c, gfsa) for _ in range(c["depth"]))
        if c["pool"] == "class_token":
            self.norm = nn.LayerNorm(w, eps=1e-6)
        else:
            self.fc_norm = nn.LayerNorm(w, eps=1e-6)
        self.head = nn.Linear(w, c["classes"])

    def forward(self, x):
        x = self.patch_embed(x)
        if self.c["pool"] == "class_token":
            x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], 1)
        x = x + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0] if self.c["pool"] == "class_token" else self.fc_norm(x.mean(1)))


def draw_weights(net, rng):
    for name, p in net.named_parameters():
        scale = 0.3 if name.endswith("wK") else 0.1 if p.dim() == 1 else 1.2 / np.sqrt(p[0].numel())
        value = rng.normal(0, scale, tuple(p.shape))
        if "norm" in name and name.endswith("weight"):
            value += 1
        if name.endswith("gamma"):
            value = 0.5 + 0.2 * value
        with torch.no_grad():
            p.copy_(torch.from_numpy(value))


def train(net, images, labels):
    groups = [dict(params=[p for p in net.parameters()], weight_decay=WEIGHT_DECAY)]
    optimizer = torch.optim.AdamW(groups, lr=LR, betas=(0.9, 0.999), eps=1e-8)
    losses = []
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(torch.roll(images, step, 0)), torch.roll(labels, step, 0), label_smoothing=0.1)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def check_against_timm(c, net, images):
    reference = timm.models.vision_transformer.VisionTransformer(
        img_size=c["image"], patch_size=c["patch"], embed_dim=c["width"], depth=c["depth"], num_heads=c["heads"], num_classes=c["classes"],
        class_token=c["pool"] == "class_token", global_pool="token" if c["pool"] == "class_token" else "avg",
        init_values=c["layer_scale"] or None).double()
    reference.load_state_dict(net.state_dict())
    difference = (reference(images) - net(images)).abs().max().item()
    assert difference < 1e-12, f"this file's ViT differs from timm's by {difference}"


def main():
    out = sys.argv[1] if len(sys.argv) > 1 else "tests/golden/vit.safetensors"
    tensors, facts = {}, dict(torch=torch.__version__, timm=timm.__version__, cases={})
    torch.set_num_threads(1)
    for number, (name, (c, gfsa)) in enumerate(CASES.items()):
        rng = np.random.default_rng(100 + number)
        net = Vit(c, gfsa).double()
        draw_weights(net, rng)
        images = torch.from_numpy(rng.normal(0, 1, (BATCH, 3, c["image"], c["image"])))
        labels = torch.from_numpy(rng.integers(0, c["classes"], BATCH))
        if not gfsa:
            check_against_timm(c, net, images)
        # Stored in f32, so that the f32 and the f64 runs start from the same numbers.
        start = {k: v.float() for k, v in net.state_dict().items()}
        images = images.float()
        net.load_state_dict({k: v.double() for k, v in start.items()})
        logits = net(images.double())
        loss = F.cross_entropy(logits, labels, label_smoothing=0.1)
        loss.backward()
        for key, value in start.items():
            tensors[f"{name}/weights/{key}"] = value.clone()
        for key, p in net.named_parameters():
            tensors[f"{name}/grads/{key}"] = p.grad.float()
        tensors[f"{name}/images"], tensors[f"{name}/labels"] = images, labels
        tensors[f"{name}/logits"] = logits.detach()
        tensors[f"{name}/losses_f64"] = torch.tensor(train(net, images.double(), labels), dtype=torch.float64)
        net32 = Vit(c, gfsa)
        net32.load_state_dict(start)
        tensors[f"{name}/losses_f32"] = torch.tensor(train(net32, images, labels), dtype=torch.float64)
        facts["cases"][name] = dict(model=c, attention=gfsa)
    save_file(tensors, out, metadata={k: json.dumps(v) for k, v in facts.items()})


if __name__ == "__main__":
    main()
