#!/usr/bin/env python3
"""Writes the seeds of tests/fuzz/corpus: small files of every kind that the fuzz targets read. Standard library only;
pictures are taken from tests/golden/images."""
import bz2
import gzip
import io
import json
import lzma
import pathlib
import struct
import tarfile

import tokenizers_components as components

ROOT = pathlib.Path(__file__).resolve().parents[2]
CORPUS = ROOT / "tests/fuzz/corpus"


def put(target, name, content):
    path = CORPUS / target / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def config():
    minimal = "schedule: {name: cosine}\ndata: {path: a}\n"
    put("config", "minimal", minimal)
    put("config", "override", minimal + "\x1eoptimizer.lr=1e-3")
    put("config", "override_list", minimal + "\x1eattention={variant: gfsa, layers: [0, 1]}")
    put("config", "anchors", "data: &d {path: a, mean: [&m 0.5, *m]}\nschedule: {name: cosine}\n")
    put("config", "quotes", minimal + "run_dir: \"a\\tb\\u00e9 $${x}\"\n")
    put("config", "environment", minimal + "run_dir: ${env:GFSA_NO:-x}/y\n")
    put("config", "include", "defaults: [a.yaml, b.yaml]\n" + minimal)
    put("config", "wrong", "sede: x\noptimizer: {lr: -1, betas: [1]}\n")
    put("config", "block", "schedule:\n  name: constant\n  warmup: 2\ndata:\n  path: >\n    a b\n  note: |\n    c\n")
    put("config", "numbers", minimal + "seed: 9223372036854775807\nepochs: 1e1\nattention: {K: 0x3}\n")


def safetensors():
    def file(header, data=b""):
        text = json.dumps(header, separators=(",", ":")).encode()
        return struct.pack("<Q", len(text)) + text + data

    def tensor(dtype, shape, begin, end):
        return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}

    put("safetensors", "none", file({}))
    put("safetensors", "one", file({"a": tensor("F32", [2], 0, 8)}, bytes(8)))
    put("safetensors", "scalar", file({"a": tensor("F64", [], 0, 8)}, bytes(8)))
    put("safetensors", "empty", file({"a": tensor("F16", [0, 3], 0, 0)}))
    put("safetensors", "empty_but_large", file({"a": tensor("U8", [0, 3 << 30, 1 << 32], 0, 0)}))
    put("safetensors", "metadata", file({"__metadata__": {"format": "pt"}, "a": tensor("BF16", [1, 1], 0, 2)}, bytes(2)))
    kinds = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
    header, at = {}, 0
    for kind, size in kinds.items():
        header[kind.lower()] = tensor(kind, [2], at, at + 2 * size)
        at += 2 * size
    put("safetensors", "every_type", file(header, bytes(at)))
    put("safetensors", "long_header", struct.pack("<Q", 1 << 63) + b"{}")


def idx():
    def array(code, sizes, data):
        return bytes([0, 0, code, len(sizes)]) + b"".join(struct.pack(">I", n) for n in sizes) + data

    put("idx", "labels", array(8, [3], b"\1\2\3"))
    put("idx", "images", array(8, [2, 2, 2], bytes(range(8))))
    put("idx", "floats", array(13, [2], struct.pack(">2f", 1, 2)))
    put("idx", "doubles", array(14, [1], struct.pack(">d", 1)))
    put("idx", "no_pictures_of_2_to_64_pixels", array(8, [0xD8000000, 0xFF000004, 0], b""))
    put("idx", "nothing", array(8, [0, 28, 28], b""))
    put("idx", "packed", gzip.compress(array(8, [2, 2, 2], bytes(8)), mtime=0))
    put("idx", "two_members", gzip.compress(array(8, [4], b"\1\2"), mtime=0) + gzip.compress(b"\3\4", mtime=0))


def cifar():
    put("cifar", "ten", b"\0" + b"\5" + bytes(3072))
    put("cifar", "hundred", b"\1" + b"\5\6" + bytes(3072))
    put("cifar", "names", b"\2" + b"".join(b"n%d\n" % i for i in range(10)))
    put("cifar", "hundred_names", b"\3" + b"".join(b"n%d\r\n" % i for i in range(100)))


def archive():
    def tar(members, kind=tarfile.USTAR_FORMAT):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=kind) as t:
            for name, content, more in members:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                for key, value in more.items():
                    setattr(info, key, value)
                t.addfile(info, io.BytesIO(content))
        content = out.getvalue().rstrip(b"\0")  # tarfile fills up to 10 KB
        return content + bytes(-len(content) % 512 + 1024)

    files = [("train/a/1.png", b"x", {}), ("train/b/2.png", b"yy", {})]
    put("archive", "plain", tar(files))
    put("archive", "pax", tar([("a/" + "n" * 120, b"x", {}), ("ü", b"y", {})], tarfile.PAX_FORMAT))
    put("archive", "gnu", tar([("a/" + "n" * 120, b"x", {})], tarfile.GNU_FORMAT))
    put("archive", "link", tar(files + [("c", b"", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"})]))
    put("archive", "climbs", tar(files + [("../c", b"z", {})]))
    put("archive", "gz", gzip.compress(tar(files), mtime=0))
    put("archive", "bz2", bz2.compress(tar(files)))
    put("archive", "xz", lzma.compress(tar(files)))


def image():
    for name in ("one_pixel.png", "one_pixel.jpg", "gray_2bit.png", "palette_4bit.png", "rgb_16bit.png", "gray_16bit.png",
                 "interlaced.png", "gray_alpha.png", "gray.jpg", "cmyk.jpg", "progressive.jpg", "restart.jpg",
                 "color_420.jpg"):
        put("image", name, (ROOT / "tests/golden/images" / name).read_bytes())


def checkpoint():
    state = {"step": 6, "epoch": 1, "batch": 2, "samples": 48, "train_seconds": 0.5, "best": 12.5, "best_step": 4,
             "evaluated_step": 4, "non_finite_in_a_row": 0, "last_non_finite_step": -1, "rollback_step": -1,
             "last_eval": {"top1": 12.5, "loss": None}}
    put("checkpoint", "state", "\0" + json.dumps(state, indent=2))
    put("checkpoint", "state_without_best", "\0" + json.dumps({k: v for k, v in state.items() if k != "best"}))
    put("checkpoint", "state_of_large_numbers", "\0" + json.dumps({**state, "step": 1e300, "epoch": 2**64 - 1}))
    put("checkpoint", "state_of_words", "\0" + json.dumps({k: "x" for k in state}))
    plain = {"bytes": 10, "xxh3_128": "0" * 32}
    tensors = {**plain, "header": {"bytes": 8, "xxh3_64": "0" * 16}, "tensors": {"head.weight": "0" * 16}}
    body = json.dumps({"format": 2, "files": {"model.safetensors": tensors, "optimizer.safetensors": tensors,
                                              "config.yaml": plain, "state.json": plain}}, indent=2)
    put("checkpoint", "manifest", "\2" + body[:-2] + ",\n")
    put("checkpoint", "manifest_of_format_1", "\2" + '{"format": 1,\n')
    put("checkpoint", "manifest_unsealed", "\1" + body)


def table():
    put("table", "tsv", "\0text\tlabel\na \"film\tpos\n\tneg\n")
    put("table", "tsv_of_short_rows", "\x09a\tb\n1\n2\t3\n")
    put("table", "tsv_without_heading", "\x12a film\t1\nb\t0")
    put("table", "csv", "\1text,label\n\"a, \"\"film\"\"\nof two lines\",pos\r\nb,neg\n\n")
    put("table", "csv_without_end", "\1a,b\n\"x,y\n")
    put("table", "jsonl", "\2{\"text\": \"a\\u00e9\", \"label\": 1}\n\n{\"text\": 0.5, \"label\": true}\n")
    put("table", "jsonl_of_lists", "\2[1, 2]\n")
    put("table", "latin1", b"\0text\tlabel\ncaf\xe9\t1\n")


def tokenizers():
    components.CHARS[:] = list("abthel xo'\u2581\u0120") + ["\u0301", "\u65e5"]
    for i, spec in enumerate(components.tokenizers()):
        put("tokenizers", f"json_{i:02}", "t" + json.dumps(spec, ensure_ascii=False, separators=(",", ":")))
    put("tokenizers", "vocab_txt", "v[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\r\n##b\n\n\u65e5  \n!")
    byte_level = dict.fromkeys(components.BYTES)
    for name, special in (("gpt2", ["<|endoftext|>"]), ("roberta", ["<s>", "</s>", "<mask>"])):
        vocabulary = {token: i for i, token in enumerate([*special, *byte_level, "ab", "\u0120a", "\u0120ab"])}
        merges = "#version: 0.2\na b\n\u0120 a\n\u0120a b\n"
        put("tokenizers", name, "m" + json.dumps(vocabulary, ensure_ascii=False, separators=(",", ":")) + "\x1e" + merges)
    put("tokenizers", "spiece", b"s" + (ROOT / "tests/golden/tokenizers/albert/spiece.model").read_bytes())
    put("tokenizers", "config", "c" + json.dumps({
        "do_lower_case": False, "strip_accents": True, "tokenizer_class": "BertTokenizerFast", "pad_token": "[PAD]",
        "mask_token": {"content": "[MASK]", "lstrip": True}, "added_tokens_decoder": {"10": {"content": "x", "special": True}},
        "additional_special_tokens": ["y", {"content": "z", "rstrip": True}]}) + "\x1e" + json.dumps({"cls_token": "[CLS]"}))


for make in (config, safetensors, idx, cifar, archive, image, checkpoint, table, tokenizers):
    make()
