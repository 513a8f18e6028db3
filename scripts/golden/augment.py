#!/usr/bin/env python3
"""Makes tests/golden/augment.safetensors: what Pillow, torchvision and timm make of generated pictures.

    python scripts/golden/augment.py [--output FILE] [--images FOLDER]

Needs numpy, Pillow, torch, torchvision, timm, safetensors. Pixel cases are tensors named `picture|operation|numbers|
interpolation`; augment_pixels_test.cpp reads the name and does the same. With --images, the pictures are those of a
folder of JPEG files instead of the generated ones (for a check on real photographs; see augment_pixels_test.cpp).
"""
import argparse
import json
import pathlib
import random
from collections import defaultdict

import numpy as np
import PIL
import timm
import torch
import torchvision
from PIL import Image
from safetensors.numpy import save_file
from timm.data import auto_augment, create_transform
from timm.data.mixup import Mixup, cutmix_bbox_and_lam, mixup_target
from timm.data.random_erasing import RandomErasing
from timm.data.transforms import RandomResizedCropAndInterpolation
from torchvision.transforms import functional as F

MODES = {"nearest": Image.NEAREST, "bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC}
FILL = (124, 116, 104)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def picture(width, height, seed):
    """Like a photograph: smooth shading, edges, a bright and a dark region, fine noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    out = np.zeros((height, width, 3))
    for c in range(3):
        out[..., c] = 110 + 60 * np.sin(x / width * 5 + c + seed) * np.cos(y / height * 4 - c)
    for _ in range(6):
        cx, cy, r = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(3, 12)
        out[(x - cx) ** 2 + (y - cy) ** 2 < r * r] += rng.uniform(-120, 120, 3)
    out[: height // 6] += 90
    return Image.fromarray(np.clip(out + rng.normal(0, 6, out.shape), 0, 255).astype(np.uint8))


def pad_crop(im, left, top, pad, mode):
    im = F.pad(im, pad, padding_mode=mode)
    return im.crop((left, top, left + im.width - 2 * pad, top + im.height - 2 * pad))


def operation(im, name, a, mode):
    tf = dict(resample=MODES.get(mode), fillcolor=FILL)
    kind = auto_augment.NAME_TO_OP
    if name in kind:
        integer = name.startswith(("Posterize", "Solarize"))
        if name.startswith("Posterize") and a[0] < 1:
            return im.point([0] * 256 * 3)  # Pillow < 13; later versions refuse 0 bits
        return kind[name](im, *(int(v) if integer else v for v in a), **tf)
    if name == "resize":
        return im.resize((int(a[0]), int(a[1])), MODES[mode], box=tuple(a[2:]) if len(a) > 2 else None)
    if name == "resized_crop":  # left, top, width, height, size
        left, top, w, h, size = map(int, a)
        return F.resized_crop(im, top, left, h, w, [size, size], {"bicubic": F.InterpolationMode.BICUBIC,
                                                                  "bilinear": F.InterpolationMode.BILINEAR}[mode])
    if name == "affine":
        return im.transform(im.size, Image.AFFINE, a, **tf)
    if name == "flip":
        return im.transpose(Image.FLIP_LEFT_RIGHT)
    if name == "hue":
        return F.adjust_hue(im, a[0])
    if name == "grayscale":
        return F.to_grayscale(im, 3)
    if name == "center_crop":
        return F.center_crop(im, [int(a[1]), int(a[0])])
    if name == "resize_shorter":
        return F.resize(im, int(a[0]), F.InterpolationMode(mode))
    if name == "pad_zero":
        return pad_crop(im, *map(int, a), "constant")
    if name == "pad_reflect":
        return pad_crop(im, *map(int, a), "reflect")
    raise ValueError(name)


def pixel_cases(w, h):
    cases = [(n, (), "") for n in ("AutoContrast", "Equalize", "Invert", "flip", "grayscale")]
    cases += [("Posterize", (b,), "") for b in (0, 1, 4)]
    cases += [("Solarize", (t,), "") for t in (0, 77, 256)] + [("SolarizeAdd", (a,), "") for a in (33, 110)]
    for name in ("Color", "Contrast", "Brightness", "Sharpness"):
        cases += [(name, (f,), "") for f in (0.0, 0.37, 1.72)]
    cases += [("Desaturate", (d,), "") for d in (0.6, 1.0)]
    cases += [("GaussianBlur", (r,), "") for r in (0.1, 0.7, 2.0, 40.0)]
    cases += [("hue", (f,), "") for f in (-0.5, -0.11, 0.08, 0.5)]
    for mode in ("nearest", "bilinear", "bicubic"):
        cases += [("Rotate", (d,), mode) for d in (-17.3, 27.0)]
        cases += [("ShearX", (0.27,), mode), ("ShearY", (-0.13,), mode)]
        cases += [("TranslateX", (-7.3,), mode), ("TranslateXRel", (0.31,), mode), ("TranslateYRel", (-0.45,), mode)]
        cases += [("resize", (19, 23), mode), ("resize", (61, 31), mode)]
    cases += [("affine", (0.7, 0.3, 4.5, -0.2, 1.2, -3.25), m) for m in ("nearest", "bilinear", "bicubic")]
    cases += [("resize", (20, 24, 3.25, 5.5, w - 4.75, h - 7.0), m) for m in ("nearest", "bilinear", "bicubic")]
    cases += [("resize", (w, 20), "bicubic"), ("resize", (20, h), "bicubic"), ("resize", (1, 1), "bilinear")]
    cases += [("resized_crop", (5, 7, 17, 11, 24), m) for m in ("bilinear", "bicubic")]
    cases += [("center_crop", (23, 30), ""), ("center_crop", (45, 60), ""), ("resize_shorter", (29,), "bicubic")]
    cases += [("pad_zero", (1, 7, 4), ""), ("pad_reflect", (8, 0, 4), ""), ("pad_reflect", (3, 4, 4), "")]
    return cases


def add_pixels(out, pictures, every):
    for p, (name, im) in enumerate(pictures.items()):
        out[name] = np.asarray(im)
        for i, (op, numbers, mode) in enumerate(pixel_cases(*im.size)):
            if p == 0 or every or (i + p) % 4 == 0:
                result = operation(im, op, [float(v) for v in numbers], mode)
                out[f"{name}|{op}|{','.join(repr(float(v)) for v in numbers)}|{mode}"] = np.ascontiguousarray(result)


def add_levels(out):
    """Arguments at several magnitudes; row 0: the coin leaves the sign, row 1: it flips it."""
    real_random = random.random
    levels = [0.0, 0.9, 2.5, 4.0, 5.0, 7.3, 9.0, 10.0]
    out["levels"] = np.array(levels)
    for name, fn in auto_augment.LEVEL_TO_ARG.items():
        if fn is None:
            continue
        rows = []
        for coin in (0.2, 0.8):
            random.random = lambda coin=coin: coin
            rows.append([float(fn(v, dict(translate_const=100))[0]) for v in levels])
        out[f"level|{name}"] = np.array(rows)
    random.random = real_random


def add_policies(out, draws=40000):
    """How often each operation is chosen, and histograms of its argument over [-w, w] by 16 bins."""
    names = list(auto_augment.NAME_TO_OP)
    real = dict(auto_augment.NAME_TO_OP)
    counts, arguments, bicubic = None, None, None

    def record(name):
        def fn(img, *a, **kw):
            counts[names.index(name)] += 1
            if a:
                arguments[name].append(float(a[0]))
            bicubic.append(kw["resample"][0] if isinstance(kw["resample"], tuple) else kw["resample"])
            return img
        return fn

    for n in names:
        auto_augment.NAME_TO_OP[n] = record(n)
    for text in ("rand-m9-mstd0.5-inc1", "rand-m7-n3-p0.8-mstd101", "rand-m5-n2-mstd2-tweights", "original-mstd0.5",
                 "v0", "3a"):
        random.seed(5), np.random.seed(5)
        counts, arguments, bicubic = np.zeros(len(names), np.int64), defaultdict(list), []
        params = dict(translate_const=100, img_mean=FILL)
        make = auto_augment.rand_augment_transform if text.startswith("rand") else auto_augment.auto_augment_transform
        policy = make(text, params)
        for _ in range(draws):
            policy(None)
        out[f"policy|{text}|counts"] = counts
        for name, values in arguments.items():
            values = np.array(values)
            low, high = float(values.min()) - 1e-6, float(values.max()) + 1e-6
            histogram, _ = np.histogram(values, 16, (low, high))
            out[f"policy|{text}|{name}"] = np.array([low, high, *histogram])
    auto_augment.NAME_TO_OP.update(real)


def add_draws(out, draws=40000):
    random.seed(7), np.random.seed(7)
    for name, w, h, scale in (("wide", 48, 40, (0.08, 1.0)), ("long", 96, 30, (0.5, 1.0))):
        im = Image.new("RGB", (w, h))
        boxes = np.array([RandomResizedCropAndInterpolation.get_params(im, scale, (3 / 4, 4 / 3))
                          for _ in range(draws)])[:, [1, 0, 3, 2]]  # left, top, width, height
        for k, column in enumerate(("left", "top", "width", "height")):
            out[f"crop|{name}|{column}"] = np.bincount(boxes[:, k], minlength=max(w, h) + 1)
    erasing = RandomErasing(0.7, min_aspect=0.2, mode="const", max_count=1, device="cpu")
    heights, widths, tops, none = np.zeros(33, np.int64), np.zeros(41, np.int64), np.zeros(33, np.int64), 0
    for _ in range(draws):
        hit = (erasing(torch.ones(1, 32, 40))[0] == 0).numpy()
        if not hit.any():
            none += 1
            continue
        heights[hit.any(1).sum()] += 1
        widths[hit.any(0).sum()] += 1
        tops[hit.any(1).argmax()] += 1
    out["erasing|none"], out["erasing|height"] = np.array([none]), heights
    out["erasing|width"], out["erasing|top"] = widths, tops
    for name, mix in (("deit", Mixup(0.8, 1.0, prob=0.9, switch_prob=0.3)), ("mixup", Mixup(1.3, 0.0)),
                      ("cutmix", Mixup(0.0, 0.4))):
        values = np.zeros((2, 20), np.int64)
        unmixed = 0
        for _ in range(draws):
            lam, cutmix = mix._params_per_batch()
            if lam == 1.0:
                unmixed += 1
                continue
            if cutmix:
                _, lam = cutmix_bbox_and_lam((1, 3, 32, 32), lam)
            values[int(cutmix), min(int(lam * 20), 19)] += 1
        out[f"mix|{name}"], out[f"mix|{name}|unmixed"] = values, np.array([unmixed])


def add_batches(out):
    torch.manual_seed(3)
    x, labels = torch.randn(4, 2, 6, 5), torch.tensor([2, 0, 2, 2])
    out["batch|images"], out["batch|labels"] = x.numpy().copy(), labels.numpy()
    mix = Mixup(0.8, 1.0, label_smoothing=0.1, num_classes=3)
    mix._params_per_batch = lambda: (0.30000000000000004, False)
    y, t = mix(x.clone(), labels)
    out["batch|mixup"], out["batch|mixup_targets"] = y.numpy(), t.numpy()
    np.random.seed(1)
    mix._params_per_batch = lambda: (0.6, True)
    state = np.random.get_state()
    (top, bottom, left, right), lam = cutmix_bbox_and_lam(x.shape, 0.6)
    np.random.set_state(state)
    y, t = mix(x.clone(), labels)
    out["batch|cutmix"], out["batch|cutmix_targets"] = y.numpy(), t.numpy()
    out["batch|cutmix_box"], out["batch|cutmix_lambda"] = np.array([left, top, right - left, bottom - top]), np.array([lam])
    out["batch|smoothed"] = mixup_target(labels, 3, 1.0, 0.1).numpy()


def add_eval(out, pictures):
    for name, im in pictures.items():
        for size, pct, mode in ((20, 0.875, "bicubic"), (24, 0.9, "bilinear")):
            transform = create_transform(size, crop_pct=pct, interpolation=mode, mean=MEAN, std=STD)
            out[f"{name}|eval|{size},{pct}|{mode}"] = transform(im).numpy()


def main():
    parser = argparse.ArgumentParser()
    root = pathlib.Path(__file__).resolve().parents[2]
    parser.add_argument("--output", default=root / "tests/golden/augment.safetensors", type=pathlib.Path)
    parser.add_argument("--images", type=pathlib.Path)
    args = parser.parse_args()
    out = {}
    if args.images:
        files = sorted(args.images.glob("*.jpg"))
        add_pixels(out, {f"photo{i}": Image.open(f).convert("RGB") for i, f in enumerate(files)}, True)
    else:
        pictures = {"wide": picture(48, 40, 1), "tall": picture(37, 53, 2)}
        add_pixels(out, pictures, False)
        flat = np.asarray(picture(12, 9, 3)).copy()
        flat[..., 1] = 77  # one value in the whole channel
        flat[..., 2] = 100 + flat[..., 2] % 7
        out["flat"] = flat
        for op, numbers in (("AutoContrast", []), ("Equalize", []), ("hue", [0.3]), ("Contrast", [1.9])):
            out[f"flat|{op}|{','.join(map(str, numbers))}|"] = np.asarray(operation(Image.fromarray(flat), op, numbers, ""))
        add_levels(out), add_policies(out), add_draws(out), add_batches(out), add_eval(out, pictures)
    out = {k: np.ascontiguousarray(v) for k, v in out.items()}
    versions = dict(pillow=PIL.__version__, timm=timm.__version__, torchvision=torchvision.__version__)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    save_file(out, args.output, metadata={k: str(v) for k, v in versions.items()})
    print(f"{args.output}: {len(out)} tensors, {args.output.stat().st_size} bytes, {json.dumps(versions)}")


if __name__ == "__main__":
    main()
