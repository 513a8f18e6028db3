#!/usr/bin/env python3
"""Draws docs/images/architecture.svg from the table in docs/architecture.md.

Usage: python3 scripts/draw_architecture.py        (standard library only)
"""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent
WIDTH, ROW, BOX_WIDTH, BOX_HEIGHT = 1080, 84, 160, 46
# From top to bottom, each row's layers from left to right; one short line a layer.
ROWS = [
    {"apps": "gfsa-train, gfsa-eval"},
    {"tasks": "one kind of experiment"},
    {"models": "ViT, BERT, GPT-2 ...", "train": "loop, checkpoints"},
    {"nn": "Linear, norms, blocks", "optim": "AdamW, schedules, EMA", "data": "sources, augmentation"},
    {"attention": "filters, kernels", "tokenizers": "text to ids and back"},
    {"ops": "forward and backward", "params": "state dict", "config": "YAML to structs",
     "formats": "safetensors, JPEG ..."},
    {"autograd": "the tape"},
    {"core": "tensor, arena, Philox"},
    {"base": "errors, files, threads"},
]
CENTERS = {
    "apps": 420, "tasks": 420, "models": 220, "train": 570, "nn": 100, "optim": 420, "data": 720, "attention": 100, "tokenizers": 720,
    "ops": 210, "params": 380, "config": 550, "formats": 720, "autograd": 295, "core": 350, "base": 450,
}
STEPS = [
    ("YAML", "config", "read, checked, all errors at once"),
    ("batch", "data", "source, tokens, workers"),
    ("forward", "models, nn", "scopes name the parameters"),
    ("kernels", "ops, attention", "each op records its backward"),
    ("backward", "autograd", "the tape from its end"),
    ("update", "optim", "clip, fused step, EMA"),
    ("run directory", "train", "metrics, checkpoints, curves"),
]


def table():
    rows = re.findall(r"^\| `src/(\w+)/` \|.*\| ([\w, ]+) \|$", (ROOT / "docs/architecture.md").read_text(), re.M)
    return {name: [] if below == "nothing of ours" else below.split(", ") for name, below in rows}


def reach(layers, name):
    found = set()
    for below in layers[name]:
        found |= {below} | reach(layers, below)
    return found


def reduced(layers):
    """The arrows that say something: not those that others imply."""
    for name, direct in layers.items():
        for below in direct:
            if not any(below in reach(layers, other) for other in direct if other != below):
                yield name, below


def text(x, y, content, size, anchor="middle", color="#1f2933", bold=False):
    weight = ' font-weight="600"' if bold else ""
    return f'<text x="{x}" y="{y}" font-size="{size}" text-anchor="{anchor}" fill="{color}"{weight}>{content}</text>'


def main():
    layers = table()
    top = {name: 48 + i * ROW for i, row in enumerate(ROWS) for name in row}
    assert set(top) == set(layers) == set(CENTERS), "ROWS, CENTERS and the table name different layers"
    height = 48 + len(ROWS) * ROW
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="DejaVu Sans, sans-serif">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0,0 L8,4 L0,8 z" fill="#7b8794"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        text(420, 28, "layers: an arrow means &#8220;may include&#8221;", 15, color="#52606d"),
        text(950, 28, "the life of a step", 15, color="#52606d"),
    ]
    for name, below in reduced(layers):
        x1, y1, x2, y2 = CENTERS[name], top[name] + BOX_HEIGHT, CENTERS[below], top[below] - 2
        bend = (y2 - y1) / 2
        out.append(f'<path d="M{x1},{y1} C{x1},{y1 + bend} {x2},{y2 - bend} {x2},{y2}" fill="none" stroke="#7b8794" '
                   'stroke-width="1.4" marker-end="url(#tip)"/>')
    for row in ROWS:
        for name, role in row.items():
            x, y = CENTERS[name] - BOX_WIDTH / 2, top[name]
            fill, line = ("#fdebd0", "#d9822b") if name == "attention" else ("#e6f0fa", "#3e7cb1")
            out.append(f'<rect x="{x}" y="{y}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="6" fill="{fill}" '
                       f'stroke="{line}"/>')
            out.append(text(CENTERS[name], y + 19, name, 15, bold=True))
            out.append(text(CENTERS[name], y + 36, role, 11.5, color="#52606d"))
    gap = (height - 48) / len(STEPS)
    for i, (what, where, how) in enumerate(STEPS):
        y = 48 + i * gap
        out.append(f'<rect x="840" y="{y}" width="220" height="66" rx="6" fill="#eef7ee" stroke="#4f9d69"/>')
        out.append(text(950, y + 20, what, 15, bold=True))
        out.append(text(950, y + 38, where, 12, color="#2f6f47"))
        out.append(text(950, y + 55, how, 11.5, color="#52606d"))
        if i + 1 < len(STEPS):
            out.append(f'<path d="M950,{y + 66} L950,{y + gap - 2}" stroke="#7b8794" stroke-width="1.4" '
                       'marker-end="url(#tip)"/>')
    out.append("</svg>\n")
    (ROOT / "docs/images/architecture.svg").write_text("\n".join(out))


if __name__ == "__main__":
    main()
