"""The texts of scripts/golden/tokenizers.py: everything in ../shared/data, what is hard to cut, and random Unicode."""
import gzip
import json
import pathlib
import random

DATA = pathlib.Path(__file__).resolve().parents[2] / "../shared/data"


def functions():
    for name in ("devign_test", "bigclonebench_data"):
        with gzip.open(DATA / f"code/{name}.jsonl.gz", "rt", encoding="utf-8") as f:
            for line in f:
                yield json.loads(line)["func"]


def plain_files():
    yield from sorted(p for p in DATA.rglob("*") if p.suffix in (".txt", ".tsv", ".csv", ".md"))
    yield from sorted(DATA.rglob("*.txt.gz"))


def lines_of(path):
    opened = gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb")
    with opened as f:
        for line in f.read().split(b"\n"):
            yield line.decode("utf-8")


def data_texts():
    """Each different line of every text, each function of the code and each of its lines, in order."""
    seen = {}
    for path in plain_files():
        seen.update(dict.fromkeys(lines_of(path)))
    for function in functions():
        seen[function] = None
        seen.update(dict.fromkeys(function.split("\n")))
    return list(seen)


def training_texts():
    out = list(lines_of(DATA / "tinyshakespeare.txt"))
    for path in sorted((DATA / "ptb").iterdir()) + sorted((DATA / "wikitext2").iterdir()):
        out += lines_of(path)
    return out + list(functions())


TRICKY = [
    "",
    " ",
    "  ",
    "\t",
    "\n",
    "\r\n",
    "\u0085",
    "\u00a0",
    "\u200b",
    "\u3000",
    "\u2028x\u2029",
    "a",
    "Hello, world!",
    "  two  spaces  ",
    "trailing \n",
    "don't DON'T we'll I'm they've he'd you're it's",
    "'s 'tis ''quoted'' ``quoted``",
    "naïve café ÅNGSTRÖM",
    "e\u0301 e\u0323\u0301 \u0301e a\u0316\u0301\u0327 \u1e69",
    "İstanbul ıI Iı",
    "straße STRASSE ẞ",
    "ΟΔΥΣΣΕΥΣ ὈΔΥΣΣΕΎΣ σς",
    "ǅ ǆ Ǆ ﬁ ﬂ ﬃ ℌ ② ½ ２ ｱ ㌀ ㋿",
    "日本語のテキスト 中文字符 한국어 각 \u1112\u1161\u11ab",
    "𠀀𪜀𫝀 豈更車",
    "Ünïcödé ÄÖÜ",
    "Привет, мир!",
    "مرحبا بالعالم",
    "שָׁלוֹם",
    "नमस्ते दुनिया",
    "ไทย ภาษา",
    "\u0e33 \u0eb3",
    "👍 👍🏽 👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇫🇷",
    "zero\u200dwidth\u200cjoiners\ufeff",
    "\u202eright to left\u202c",
    "\x00\x01\x1f\x7f\x80\x9f",
    "\ufffd\ufffe\uffff",
    "\ud7ff\ue000\uf8ff",
    "\U0001f9ff\U0010ffff\U000e0001",
    "\u0378\u0560\u1c90\ua7ae",
    "1 234,567.89 3/4 ²³ ٣ ৪ Ⅷ",
    "x=1;y=x**2 // comment",
    "for (int i = 0; i < n; ++i) {\n\t\tsum += a[i];\n}\n",
    "a_b-c.d@e.f http://x.y/z?q=1&r=%20",
    "¿Qué? ¡No! «Ça» „so“ ‚so‘ — – - ‐",
    "$5 £5 €5 ¥5 ^ ` ~ | + < = >",
    "<s> </s> <mask> <pad> <unk>",
    "[CLS] [SEP] [MASK] [PAD] [UNK]",
    "a<mask>b  <mask>  c",
    "[MASK][MASK] [mask] x[MASK]y",
    "<|endoftext|>a<|endoftext|> <|endoftext|>",
    "▁ ▁a a▁ ▁▁",
    "Ġ Ġa Ċ",
    "a" * 120,
    "é" * 101,
    "ab" * 60 + " c",
    "!" * 30,
    " " * 30 + "x",
    "x" + " " * 30,
    "\n\n\n\nx\n\n",
    "word\u3000word\u00a0word\u2009word",
    "a\u200ab\u1680c\u180ed",
    "AaBbCc123",
    "thequickbrownfox",
    "supercalifragilistic",
    "ROMEO: O, she doth teach the torches to burn bright!",
    "the meaning\u00adof\u00adsoft hyphens",
    "ﷺ",
    "\u0344\u0958\u2adc",
    "\u212b \u2126 \u1e9b\u0323",
    "ÅÅ",
    "q\u0307\u0323",
    "ồ ộ Ǖ",
]

RANGES = {
    "ascii": (0x20, 0x7E),
    "control": (0x00, 0x9F),
    "latin": (0xA0, 0x24F),
    "marks": (0x300, 0x36F),
    "greek": (0x370, 0x3FF),
    "cyrillic": (0x400, 0x52F),
    "hebrew": (0x590, 0x5FF),
    "arabic": (0x600, 0x6FF),
    "indic": (0x900, 0xDFF),
    "thai": (0xE00, 0xEFF),
    "jamo": (0x1100, 0x11FF),
    "more latin": (0x1E00, 0x1EFF),
    "more greek": (0x1F00, 0x1FFF),
    "punctuation": (0x2000, 0x206F),
    "letterlike": (0x2100, 0x218F),
    "enclosed": (0x2460, 0x24FF),
    "cjk symbols": (0x3000, 0x303F),
    "kana": (0x3040, 0x30FF),
    "cjk": (0x4E00, 0x9FFF),
    "hangul": (0xAC00, 0xD7A3),
    "around surrogates": (0xD7B0, 0xE00F),
    "compatibility": (0xF900, 0xFAFF),
    "presentation": (0xFB00, 0xFDFF),
    "halfwidth": (0xFF00, 0xFFEF),
    "bmp": (0x0, 0xFFFF),
    "mathematical": (0x1D400, 0x1D7FF),
    "emoji": (0x1F300, 0x1FAFF),
    "more cjk": (0x20000, 0x2FA1F),
    "all": (0x0, 0x10FFFF),
}
PIECES = [
    "\u0085",
    "\u200b",
    "\u3000",
    "\u00a0",
    "\u2028",
    " ",
    "  ",
    "\n",
    "\r\n",
    "\t",
    "İ",
    "ı",
    "ß",
    "ẞ",
    "ς",
    "Σ",
    "'s",
    "'ll",
    "n't",
    "\u200d",
    "\ufe0f",
    "👩\u200d👩\u200d👧",
    "🇩🇪",
    "👍🏽",
    "e\u0301",
    "\u0323\u0301",
    "[MASK]",
    "<mask>",
    "</s>",
    "<|endoftext|>",
    "▁",
    "Ġ",
    "the",
    "ing",
    "12",
    "``",
    "''",
]


def random_texts(count, excluded, seed=0):
    rng = random.Random(seed)
    names = list(RANGES)
    out = []
    while len(out) < count:
        parts = []
        for _ in range(rng.randint(0, 8)):
            if rng.random() < 0.3:
                parts.append(rng.choice(PIECES))
                continue
            low, high = RANGES[rng.choice(names)]
            for _ in range(rng.randint(1, 6)):
                c = rng.randint(low, high)
                if not 0xD800 <= c < 0xE000 and c not in excluded:
                    parts.append(chr(c))
            if rng.random() < 0.4:
                parts.append(" ")
        out.append("".join(parts))
    return out
