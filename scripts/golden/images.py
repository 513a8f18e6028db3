"""Small pictures of every kind that src/formats/image.h reads, with the pixels that Pillow decodes them to.

Usage: python images.py [OUTPUT_FOLDER]    (needs Pillow and numpy)

Writes NAME (.jpg or .png) and NAME.rgb: width and height as 32-bit little-endian numbers, then the bytes of
Image.open(...).convert("RGB"). The 16-bit and interlaced PNGs, which Pillow does not write, are put together here.
"""
import io
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

out = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2] / "tests/golden/images"


def scene(width, height, channels, seed=0):
    """Smooth waves, an edge and a little noise: what JPEG is made for, and what it is bad at."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    planes = [
        127 + 90 * np.sin(x / (3 + c) + seed) * np.cos(y / (4 + c)) + 30 * (x + y > (width + height) / 2) + rng.normal(0, 4, x.shape)
        for c in range(channels)
    ]
    return np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8)


def save(name, data):
    (out / name).write_bytes(data)
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    (out / (name + ".rgb")).write_bytes(struct.pack("<II", *picture.size) + picture.tobytes())


def pillow(name, picture, **options):
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG" if name.endswith(".jpg") else "PNG", **options)
    save(name, buffer.getvalue())


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def raw_png(width, height, depth, color_type, rows, extra=b"", interlace=0):
    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, interlace)
    data = b"".join(b"\0" + row for row in rows)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def sixteen_bit(name, color_type, channels):
    rng = np.random.default_rng(channels)
    pixels = rng.integers(0, 65536, (7, 9, channels)).astype(np.uint16)
    pixels[::2] //= 200  # dark enough not to be clipped everywhere
    save(name, raw_png(9, 7, 16, color_type, [row.astype(">u2").tobytes() for row in pixels]))


def interlaced(name):
    pixels = scene(13, 11, 3, 5)
    rows = []
    for x0, y0, dx, dy in [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]:
        rows += [row.tobytes() for row in pixels[y0::dy, x0::dx] if row.size]
    save(name, raw_png(13, 11, 8, 2, rows, interlace=1))


def packed_gray(name, depth):
    width, height = 11, 5
    values = np.random.default_rng(depth).integers(0, 2**depth, (height, width))
    rows = []
    for row in values:
        bits = "".join(format(v, f"0{depth}b") for v in row)
        bits += "0" * (-len(bits) % 8)
        rows.append(bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)))
    save(name, raw_png(width, height, depth, 0, rows))


def main():
    out.mkdir(parents=True, exist_ok=True)
    color, gray = Image.fromarray(scene(37, 23, 3)), Image.fromarray(scene(37, 23, 1)[..., 0])
    pillow("color_420.jpg", color, quality=85, subsampling=2)
    pillow("color_422.jpg", color, quality=85, subsampling=1)
    pillow("color_444.jpg", color, quality=95, subsampling=0)
    pillow("color_rgb.jpg", color, quality=90, keep_rgb=True)
    pillow("gray.jpg", gray, quality=80)
    pillow("progressive.jpg", color, quality=75, progressive=True)
    pillow("restart.jpg", color, quality=75, restart_marker_blocks=2)
    pillow("one_pixel.jpg", Image.fromarray(scene(1, 1, 3)))
    pillow("thin.jpg", Image.fromarray(scene(65, 1, 3)), quality=85)
    pillow("cmyk.jpg", Image.fromarray(scene(21, 17, 4), "CMYK"), quality=92)
    pillow("exif_rotated.jpg", color, quality=85, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0")

    pillow("rgb.png", color)
    pillow("gray.png", gray)
    pillow("one_pixel.png", Image.fromarray(scene(1, 1, 3)))
    pillow("bilevel.png", gray.convert("1"))
    pillow("rgba.png", Image.fromarray(scene(19, 14, 4)))
    pillow("gray_alpha.png", Image.fromarray(scene(19, 14, 2), "LA"))
    pillow("palette.png", color.quantize(200))
    pillow("palette_4bit.png", color.quantize(13))
    pillow("palette_transparent.png", color.quantize(20), transparency=bytes(range(0, 200, 10)))
    pillow("gray_transparent.png", gray, transparency=120)
    packed_gray("gray_2bit.png", 2)
    packed_gray("gray_4bit.png", 4)
    sixteen_bit("gray_16bit.png", 0, 1)
    sixteen_bit("rgb_16bit.png", 2, 3)
    sixteen_bit("gray_alpha_16bit.png", 4, 2)
    sixteen_bit("rgba_16bit.png", 6, 4)
    interlaced("interlaced.png")


main()
