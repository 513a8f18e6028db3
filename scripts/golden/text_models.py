#!/usr/bin/env python3
"""Golden files for tests/models/text_parity_test.cpp: what transformers computes with BERT, RoBERTa, ALBERT and GPT-2.

Plain softmax is transformers' own eager attention. GFSA is written here, for transformers' attention interface, from its
definition (README.md): explicit n x n matrices, A @ A, with wK as a parameter beside the projections. Weights
are numbers of a formula that the test has too (value_of below), so that models of published sizes need no big file.

  python -P scripts/golden/text_models.py [FOLDER]      needs torch, transformers, numpy, safetensors (PyPI)
"""
import json
import sys

import numpy as np
import torch
import transformers
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask

STEPS, LR, WEIGHT_DECAY = 20, 2e-3, 0.05
BASE_LR = 1e-4  # of the published sizes

SMALL = dict(width=18, depth=2, heads=3, mlp_width=29, vocabulary=37, positions=16)
OTHER = dict(width=20, depth=3, heads=2, mlp_width=24, vocabulary=41, positions=13)
BASE = dict(width=768, depth=12, heads=12, mlp_width=3072)
BERT_BASE, ROBERTA_BASE = dict(BASE, vocabulary=30522, positions=512), dict(BASE, vocabulary=50265, positions=512)
ALBERT_BASE, GPT2_BASE = dict(BASE, vocabulary=30000, positions=512), dict(BASE, vocabulary=50257, positions=1024)

# family: {case: (sizes, head, classes, K and w0 of GFSA or None)}
CASES = {
    "bert": {
        "classes_softmax": (SMALL, "classification", 3, None),
        "classes_gfsa_k2": (OTHER, "classification", 2, (2, -0.01)),
        "regression_gfsa_k7": (SMALL, "classification", 1, (7, 0.05)),
        "masked_softmax": (OTHER, "masked_lm", 0, None),
        "masked_gfsa_k3": (SMALL, "masked_lm", 0, (3, -0.05)),
        "base_gfsa_k4": (BERT_BASE, "classification", 2, (4, -0.01)),
    },
    "roberta": {
        "classes_softmax": (SMALL, "classification", 3, None),
        "classes_gfsa_k10": (OTHER, "classification", 2, (10, -0.05)),
        "masked_gfsa_k3": (SMALL, "masked_lm", 0, (3, 0.05)),
        "base_gfsa_k6": (ROBERTA_BASE, "classification", 2, (6, -0.05)),
    },
    "albert": {
        "classes_softmax": (OTHER, "classification", 3, None),
        "classes_gfsa_k10": (OTHER, "classification", 2, (10, 0.05)),
        "masked_gfsa_k2": (SMALL, "masked_lm", 0, (2, -0.05)),
        "base_gfsa_k10": (ALBERT_BASE, "classification", 2, (10, 0.05)),
    },
    "gpt2": {
        "softmax": (SMALL, "causal_lm", 0, None),
        "gfsa_k2": (OTHER, "causal_lm", 0, (2, 0.05)),
        "gfsa_k3": (SMALL, "causal_lm", 0, (3, -0.05)),
        "gfsa_k7": (OTHER, "causal_lm", 0, (7, 0.0)),
        "gfsa_k10": (SMALL, "causal_lm", 0, (10, 0.02)),
        "base_gfsa_k7": (GPT2_BASE, "causal_lm", 0, (7, 0.0)),
    },
}
EMBEDDING = 8  # ALBERT's embedding_width of the small models


def fnv1a(text):
    h = 14695981039346656037
    for byte in text.encode():
        h = ((h ^ byte) * 1099511628211) % 2**64
    return h


def spread(name, count):
    """`count` numbers in [-1, 1): the upper 24 bits of splitmix64(hash of the name + index)."""
    with np.errstate(over="ignore"):
        z = np.uint64(fnv1a(name)) + np.arange(count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float64) * 2.0**-23 - 1


def value_of(name, shape):
    """The weight called `name`, rounded to f32."""
    x = spread(name, int(np.prod(shape))).reshape(shape)
    if name.endswith("wK"):
        x = 0.5 * x
    elif len(shape) == 1:
        is_norm = any(part in name for part in ("LayerNorm", "layer_norm", "ln_")) and name.endswith("weight")
        x = (1 if is_norm else 0) + 0.2 * x
    elif any(part in name for part in ("embeddings.", "wte", "wpe")):
        x = 0.7 * x
    else:
        inputs = shape[0] if name.startswith("transformer.") else shape[1]
        x = 1.5 / np.sqrt(inputs) * x
    return torch.from_numpy(x.astype(np.float32))


def gfsa_attention(module, query, key, value, attention_mask, scaling=None, dropout=0.0, **kwargs):
    scores = query @ key.transpose(-2, -1) * scaling
    if attention_mask is not None:
        scores = scores + attention_mask
    a = scores.softmax(-1)
    order, w0 = module.config.gfsa
    power = a + (order - 1) * (a @ a - a)
    a = w0 * torch.eye(a.shape[-1], dtype=a.dtype) + a + module.gfsa.wK.view(1, -1, 1, 1) * power
    return (a @ value).transpose(1, 2).contiguous(), a


AttentionInterface.register("gfsa", gfsa_attention)
AttentionMaskInterface.register("gfsa", eager_mask)


def make(family, sizes, head, classes, gfsa):
    n = sizes
    common = dict(vocab_size=n["vocabulary"], attn_implementation="gfsa" if gfsa else "eager")
    if family == "gpt2":
        config = transformers.GPT2Config(n_embd=n["width"], n_layer=n["depth"], n_head=n["heads"], n_inner=n["mlp_width"],
                                         n_positions=n["positions"], bos_token_id=0, eos_token_id=0, **common)
        build = transformers.GPT2LMHeadModel
    else:
        common.update(hidden_size=n["width"], num_hidden_layers=n["depth"], num_attention_heads=n["heads"],
                      intermediate_size=n["mlp_width"], num_labels=max(classes, 1))
        if family == "bert":
            config = transformers.BertConfig(max_position_embeddings=n["positions"], **common)
        elif family == "roberta":
            config = transformers.RobertaConfig(max_position_embeddings=n["positions"] + 2, type_vocab_size=1,
                                                layer_norm_eps=1e-5, **common)
        else:
            config = transformers.AlbertConfig(max_position_embeddings=n["positions"],
                                               embedding_size=128 if n["width"] == 768 else EMBEDDING, **common)
        name = {"bert": "Bert", "roberta": "Roberta", "albert": "Albert"}[family]
        build = getattr(transformers, name + ("ForMaskedLM" if head == "masked_lm" else "ForSequenceClassification"))
    if gfsa:
        config.gfsa = gfsa
    net = build(config).eval()
    if gfsa:
        for module in net.modules():
            if type(module).__name__ in ("BertSelfAttention", "RobertaSelfAttention", "AlbertAttention", "GPT2Attention"):
                module.gfsa = nn.Module()
                module.gfsa.wK = nn.Parameter(torch.zeros(n["heads"]))
    with torch.no_grad():
        for name, p in net.named_parameters():
            p.copy_(value_of(name, tuple(p.shape)))
    return net


class Batch:
    """Texts of three lengths; for language models the rows (of the B N tokens) that are asked for, with their targets."""

    def __init__(self, family, sizes, head, classes, rng):
        big = sizes["width"] == 768
        self.lengths = torch.tensor([9, 5] if big else [11, 7, 2])
        b, n = len(self.lengths), int(self.lengths.max())
        low = 2 if family == "roberta" else 1  # not the padding
        self.ids = torch.from_numpy(rng.integers(low, sizes["vocabulary"], (b, n)))
        self.mask = (torch.arange(n)[None] < self.lengths[:, None]).long()
        self.ids[self.mask == 0] = 1 if family == "roberta" else 0
        self.segments = torch.from_numpy(rng.integers(0, 2, (b, n))) if family in ("bert", "albert") else None
        if head == "classification":
            self.rows = None
            self.labels = torch.from_numpy(rng.integers(0, max(classes, 2), b)).long()
            self.targets = torch.from_numpy(rng.normal(0, 1, b)).float() if classes == 1 else self.labels
        else:
            real = self.mask.reshape(-1).nonzero()[:, 0].numpy()
            if head == "causal_lm":
                real = np.array([i for i in real if i + 1 in set(real.tolist()) and (i + 1) % n != 0])
                self.rows = torch.from_numpy(real)
                self.targets = self.ids.reshape(-1)[self.rows + 1]
            else:
                self.rows = torch.from_numpy(np.sort(rng.choice(real, 6, replace=False)))
                self.targets = torch.from_numpy(rng.integers(0, sizes["vocabulary"], 6))

    def logits(self, net):
        keys = {} if self.segments is None else dict(token_type_ids=self.segments)
        out = net(input_ids=self.ids, attention_mask=self.mask, **keys).logits
        return out if self.rows is None else out.reshape(-1, out.shape[-1])[self.rows]

    def loss(self, net, turn=0):
        """turn: the targets are rotated by this, so that no two steps are alike."""
        logits, targets = self.logits(net), torch.roll(self.targets, turn, 0)
        if targets.is_floating_point():
            return F.mse_loss(logits[:, 0], targets.to(logits.dtype))
        return F.cross_entropy(logits, targets)


def train(net, batch, lr=LR):
    optimizer = torch.optim.AdamW(net.parameters(), lr=lr, weight_decay=WEIGHT_DECAY, betas=(0.9, 0.999), eps=1e-8)
    losses = []
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = batch.loss(net, step)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return torch.tensor(losses, dtype=torch.float64)


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else "tests/golden"
    torch.set_num_threads(2)
    for number, (family, cases) in enumerate(CASES.items()):
        tensors, facts = {}, dict(torch=torch.__version__, transformers=transformers.__version__)
        for index, (case, (sizes, head, classes, gfsa)) in enumerate(cases.items()):
            batch = Batch(family, sizes, head, classes, np.random.default_rng(1000 * number + index))
            big = sizes["width"] == 768
            net = make(family, sizes, head, classes, gfsa).double()
            out = {k: v for k, v in dict(ids=batch.ids, lengths=batch.lengths, segments=batch.segments, rows=batch.rows,
                                         targets=batch.targets).items() if v is not None}
            out["logits"] = batch.logits(net).detach()
            loss = batch.loss(net)
            loss.backward()
            if big:
                out["logits"] = out["logits"][:, :64].contiguous()
                out["parameters"] = torch.tensor(sum(p.numel() for p in net.parameters()))
                out["loss"] = loss.detach()
                # Of each gradient its norm and its product with numbers of the formula: names in order of the alphabet.
                digests = []
                for name, p in sorted(net.named_parameters()):
                    g = p.grad.reshape(-1)
                    digests.append([g.norm().item(), (g @ torch.from_numpy(spread(name + "/digest", g.numel()))).item()])
                out["digests"] = torch.tensor(digests, dtype=torch.float64)
                out["losses_f64"] = train(net, batch, BASE_LR)
            else:
                for name, p in net.named_parameters():
                    out["grads/" + name] = p.grad.float()
                out["losses_f64"] = train(net, batch)
                out["losses_f32"] = train(make(family, sizes, head, classes, gfsa), batch)
            for key, value in out.items():
                tensors[f"{case}/{key}"] = value.contiguous()
            print(family, case, sum(p.numel() for p in net.parameters()), float(loss))
        save_file(tensors, f"{folder}/{family}.safetensors", metadata={k: json.dumps(v) for k, v in facts.items()})


if __name__ == "__main__":
    main()
