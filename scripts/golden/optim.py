"""Golden values of the optimizers and schedules: tests/golden/optim.json.

    python scripts/golden/optim.py [OUTPUT]          (needs torch and timm)

Parameters and gradients are dyadic fractions from an integer hash, exact in f32, which tests/optim/golden_test.cpp forms
again; only the parameters after the last step are stored (f64).
"""
import json
import math
import pathlib
import sys

import timm
import torch
from timm.optim import Lamb, Lion
from timm.scheduler import CosineLRScheduler

STEPS = 100
SHAPES = {"a": [1], "b": [7], "c": [33], "d": [5, 9], "e": [3, 2, 4, 5], "f": [1, 6], "g": [16, 3]}


def fraction(tensor: int, step: int, element: int) -> float:
    """In [-0.5, 0.5), a multiple of 2^-20."""
    x = (element * 2654435761 + step * 40503 * 65537 + tensor * 2246822519 + 374761393) % 2**32
    x = ((x ^ (x >> 15)) * 2246822519) % 2**32
    x = ((x ^ (x >> 13)) * 3266489917) % 2**32
    x ^= x >> 16
    return (x >> 12) / 2**20 - 0.5


def value(tensor: int, element: int) -> float:
    return 2 * fraction(tensor, 0, element)


def gradient(tensor: int, step: int, element: int) -> float:
    # A drift beside the noise, so that moments do not average out.
    return fraction(tensor, step, element) + 0.25 * (element % 3 - 1)


def learning_rate(base: float, step: int) -> float:
    return base * (1 - step / (2 * STEPS))


def run(make, base, weight_decay=0.0, split=False, clip_norm=None, clip_value=None):
    """split: no decay for 1-D parameters, and half the learning rate for "d"."""
    params = {}
    for t, (name, shape) in enumerate(SHAPES.items()):
        n = math.prod(shape)
        params[name] = torch.tensor([value(t, i) for i in range(n)], dtype=torch.float64).view(shape).requires_grad_()
    groups = []
    for name, p in params.items():
        decay = 0.0 if split and p.dim() <= 1 else weight_decay
        groups.append({"params": [p], "weight_decay": decay, "factor": 0.5 if split and name == "d" else 1.0})
    optimizer = make(groups)
    for step in range(STEPS):
        for t, p in enumerate(params.values()):
            p.grad = torch.tensor([gradient(t, step + 1, i) for i in range(p.numel())], dtype=torch.float64).view(p.shape)
        if clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(list(params.values()), clip_norm)
        if clip_value is not None:
            torch.nn.utils.clip_grad_value_(list(params.values()), clip_value)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(base, step) * group["factor"]
        optimizer.step()
    return {name: p.detach().flatten().tolist() for name, p in params.items()}


CASES = []


def case(name, config, make, base, **options):
    entry = {"name": name, "config": config, "base_lr": base, "clip_norm": options.get("clip_norm"),
             "clip_value": options.get("clip_value"), "split": options.get("split", False)}
    entry["final"] = run(make, base, **options)
    CASES.append(entry)


def optimizers():
    sgd, adam, adamw, adafactor = torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.Adafactor
    case("sgd", "{name: sgd}", lambda g: sgd(g, lr=1), 0.1)
    case("sgd_dampened", "{name: sgd, momentum: 0.9, dampening: 0.3, weight_decay: 0.05}",
         lambda g: sgd(g, lr=1, momentum=0.9, dampening=0.3), 0.05, weight_decay=0.05)
    case("sgd_nesterov", "{name: sgd, momentum: 0.9, nesterov: true, weight_decay: 0.05}",
         lambda g: sgd(g, lr=1, momentum=0.9, nesterov=True), 0.02, weight_decay=0.05, split=True, clip_norm=1.5)
    case("adam", "{name: adam, betas: [0.9, 0.98], eps: 1e-9, weight_decay: 0.03}",
         lambda g: adam(g, betas=(0.9, 0.98), eps=1e-9), 0.01, weight_decay=0.03)
    case("adamw", "{name: adamw, weight_decay: 0.05}", lambda g: adamw(g), 0.01, weight_decay=0.05, split=True)
    case("adamw_clip_norm", "{name: adamw, weight_decay: 0.05}", lambda g: adamw(g), 0.01, weight_decay=0.05,
         clip_norm=0.01)
    case("adamw_clip_value", "{name: adamw, weight_decay: 0.05, eps: 1e-3}", lambda g: adamw(g, eps=1e-3), 0.01,
         weight_decay=0.05, clip_value=0.2)
    case("lamb", "{name: lamb, weight_decay: 0.05}", lambda g: Lamb(g, max_grad_norm=None), 0.01,
         weight_decay=0.05, split=True, clip_norm=1.0)
    case("lamb_all", "{name: lamb, weight_decay: 0, always_adapt: true, trust_clip: true, grad_averaging: false}",
         lambda g: Lamb(g, max_grad_norm=None, always_adapt=True, trust_clip=True, grad_averaging=False), 0.02)
    case("lamb_uncorrected", "{name: lamb, weight_decay: 0.1, bias_correction: false}",
         lambda g: Lamb(g, max_grad_norm=None, bias_correction=False), 0.01, weight_decay=0.1)
    case("lion", "{name: lion, weight_decay: 0.3}", lambda g: Lion(g), 0.003, weight_decay=0.3, split=True)
    case("adafactor", "{name: adafactor, weight_decay: 0.05}", lambda g: adafactor(g), 0.05, weight_decay=0.05,
         split=True)
    # eps1 and eps2 large enough to matter.
    case("adafactor_eps", "{name: adafactor, beta2_decay: -0.5, eps1: 1e-4, eps2: 0.3, d: 1.5}",
         lambda g: adafactor(g, beta2_decay=-0.5, eps=(1e-4, 0.3), d=1.5), 0.2)


def schedules():
    def one():
        return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1e-3)

    def timm_cosine(total, points, **options):
        scheduler = CosineLRScheduler(one(), t_initial=total, **options)
        return {str(t): scheduler._get_lr(t)[0] for t in points}

    def hugging_face(decay, warmup, total, points):
        """LambdaLR with transformers' lambdas for linear and cosine."""
        def factor(step):
            if step < warmup:
                return step / max(1, warmup)
            return decay((step - warmup) / max(1, total - warmup))
        optimizer = one()
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        lrs = {}
        for step in range(max(points) + 1):
            if step in points:
                lrs[str(step)] = scheduler.get_last_lr()[0]
            optimizer.step()
            scheduler.step()
        return lrs

    points = [0, 1, 3, 4, 5, 6, 7, 20, 100, 250, 400, 498, 499]
    deit = CosineLRScheduler(one(), t_initial=500, lr_min=1e-5, warmup_t=5, warmup_lr_init=1e-6)
    lrs, current = {}, deit.optimizer.param_groups[0]["lr"]
    for epoch in range(500):
        if epoch in points:
            lrs[str(epoch)] = current
        deit.step(epoch)  # DeiT's main.py: after the epoch, with its own number
        current = deit.optimizer.param_groups[0]["lr"]
    return [
        {"name": "deit", "steps_per_epoch": 3, "total": 500, "per_epoch": True, "lr": lrs,
         "config": "{name: cosine, warmup_epochs: 5, warmup_lr: 1e-6, min_lr: 1e-5, per: epoch, warmup_prefix: false,"
                   " epoch_lag: 1}"},
        {"name": "timm_cosine", "steps_per_epoch": 4, "total": 500, "per_epoch": True,
         "lr": timm_cosine(500, points, lr_min=1e-5, warmup_t=5, warmup_lr_init=1e-6),
         "config": "{name: cosine, warmup_epochs: 5, warmup_lr: 1e-6, min_lr: 1e-5, per: epoch, warmup_prefix: false}"},
        {"name": "timm_cosine_prefix", "steps_per_epoch": 1, "total": 500, "per_epoch": False,
         "lr": timm_cosine(480, points, lr_min=2e-5, warmup_t=20, warmup_lr_init=1e-6, warmup_prefix=True),
         "config": "{name: cosine, warmup_steps: 20, warmup_lr: 1e-6, min_lr: 2e-5}"},
        {"name": "linear", "steps_per_epoch": 10, "total": 500, "per_epoch": False,
         "lr": hugging_face(lambda x: max(0.0, 1 - x), 20, 500, points), "config": "{name: linear, warmup_epochs: 2}"},
        {"name": "cosine", "steps_per_epoch": 10, "total": 500, "per_epoch": False,
         "lr": hugging_face(lambda x: 0.5 * (1 + math.cos(math.pi * x)), 0, 500, points), "config": "cosine"},
    ]


optimizers()
output = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "tests/golden/optim.json")
output.write_text(json.dumps({"versions": {"torch": torch.__version__, "timm": timm.__version__}, "steps": STEPS,
                              "shapes": SHAPES, "base_lr_of_schedules": 1e-3, "schedules": schedules(),
                              "cases": CASES}) + "\n")
