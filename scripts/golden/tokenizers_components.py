"""Small tokenizer.json files that use every component which the reader supports, for scripts/golden/tokenizers.py."""

import base64

TEXTS = [
    "",
    " ",
    "Hello, world!",
    "  two  spaces  ",
    "don't  stop\n\nnow",
    "naïve café e\u0301",
    "日本語 text 中文",
    "İ ß Σς",
    "12 345 ²½",
    "a<x>b <x> c<y>",
    "ﬁ ㋿ \u1e9b\u0323 \u212b",
    "\t tabs\tand\u3000wide\u00a0spaces \u0085",
    "👩\u200d👧 🇩🇪",
    "``q'' -- (a|b)",
    "Yesterday yesterday YESTERDAY",
    "x" * 45,
    "\x00\x07control\x7f",
    "[A] [a] a[A]a  [A]",
    "▁under▁score",
    "q\u0307\u0323 \uac01 \u1100\u1161\u11a8",
    "a-b_c.d",
    "aaaa bbbb abab",
]

CHARS = (
    [chr(c) for c in range(0x21, 0x7F)] + list("éèïüßσςΣ日本語中文ıİ▁²½ﬁ") + [" ", "\n", "\u0301", "\u0323", "k", "Ġ"]
)
CHARS = list(dict.fromkeys(CHARS))
MERGES = [
    ("a", "b"),
    ("t", "h"),
    ("th", "e"),
    ("l", "l"),
    ("e", "l"),
    ("l", "o"),
    ("h", "e"),
    ("ab", "ab"),
    ("▁", "t"),
    ("a", "a"),
    ("aa", "aa"),
    ("w", "o"),
    ("1", "2"),
    ("x", "x"),
    ("xx", "xx"),
    ("xxxx", "xxxx"),
    ("s", "t"),
    ("e", "s"),
    ("Ġ", "a"),
    ("Ġ", "t"),
    ("n", "o"),
]
BYTES = "".join(chr(b) for b in list(range(33, 127)) + list(range(0xA1, 0xAD)) + list(range(0xAE, 0x100))) + "".join(
    chr(0x100 + i) for i in range(68)
)


def bpe(extra=(), chars=CHARS, merges=MERGES, **options):
    tokens = list(extra) + list(chars)
    have = set(tokens)
    kept = []
    for a, b in merges:
        if a in have and b in have:
            kept.append([a, b])
            if a + b not in have:
                have.add(a + b)
                tokens.append(a + b)
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
        "vocab": {t: i for i, t in enumerate(tokens)},
        "merges": kept,
        **options,
    }


def wordpiece(**options):
    tokens = (
        ["[UNK]", "[A]"]
        + CHARS
        + ["##" + c for c in CHARS]
        + ["the", "##the", "hello", "##llo", "wor", "##ld", "yes", "##ter", "##day", "語"]
    )
    return {
        "type": "WordPiece",
        "unk_token": "[UNK]",
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 40,
        "vocab": {t: i for i, t in enumerate(dict.fromkeys(tokens))},
        **options,
    }


def word_level():
    tokens = [
        "<unk>",
        "Hello",
        "hello",
        "world",
        ",",
        "!",
        "a",
        "b",
        "c",
        "don",
        "'",
        "t",
        "stop",
        "12",
        "345",
        "日本語",
        "text",
        "(",
        ")",
        "|",
        "x",
    ]
    return {"type": "WordLevel", "vocab": {t: i for i, t in enumerate(tokens)}, "unk_token": "<unk>"}


def unigram(byte_fallback=False):
    pieces = [("<unk>", 0.0), ("▁", -2.0)] + [
        (c, -4.0 - i / 10) for i, c in enumerate(c for c in CHARS if c != "▁" and c != " " and c not in "日語")
    ]
    pieces += [
        ("▁the", -3.0),
        ("ll", -3.5),
        ("he", -3.5),
        ("hell", -4.5),
        ("▁he", -4.0),
        ("aa", -5.0),
        ("day", -4.2),
        ("yester", -6.5),
        ("xx", -7.5),
        ("xxx", -9.0),
    ]
    if byte_fallback:
        pieces += [(f"<0x{b:02X}>", -12.0) for b in range(256)]
    return {"type": "Unigram", "unk_id": 0, "vocab": [list(p) for p in pieces], "byte_fallback": byte_fallback}


def token(id, content, **options):
    return {
        "id": id,
        "content": content,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": False,
        **options,
    }


def build(model, normalizer=None, pre_tokenizer=None, post_processor=None, decoder=None, added=()):
    size = len(model["vocab"])
    tokens = []
    for i, (content, options) in enumerate(added):
        id = model["vocab"].get(content, size + i) if isinstance(model["vocab"], dict) else size + i
        tokens.append(token(id, content, **options))
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": tokens,
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": post_processor,
        "decoder": decoder,
        "model": model,
    }


def name(spec):
    def one(part):
        if part is None:
            return "-"
        inner = part.get("normalizers") or part.get("pretokenizers") or part.get("processors") or part.get("decoders")
        return "[" + " ".join(one(p) for p in inner) + "]" if inner else part["type"]

    return " ".join(one(spec[k]) for k in ("normalizer", "pre_tokenizer", "model", "post_processor", "decoder"))


def of(kind, **options):
    return {"type": kind, **options}


def sequence(key, *parts):
    return {"type": "Sequence", key: list(parts)}


def byte_level(prefix=False, trim=True, regex=True):
    return of("ByteLevel", add_prefix_space=prefix, trim_offsets=trim, use_regex=regex)


def template():
    special = lambda t, n: {"SpecialToken": {"id": t, "type_id": n}}
    text = lambda s, n: {"Sequence": {"id": s, "type_id": n}}
    return of(
        "TemplateProcessing",
        single=[special("[A]", 0), text("A", 0), special("[A]", 0)],
        pair=[special("[A]", 0), text("A", 0), text("B", 1), special("[A]", 1)],
        special_tokens={"[A]": {"id": "[A]", "ids": [1, 0], "tokens": ["[A]", "[UNK]"]}},
    )


GPT4 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def charsmap():
    """A double array by hand: U+0009 becomes a space and 'x' becomes 'yz'."""
    units = [0] * 1024
    units[0] = 256 << 10  # children of the root from 256 on
    texts = b" \0yz\0"
    for byte, place, leaf in ((9, 0, 512), (ord("x"), 2, 768)):
        at = 256 ^ byte
        units[at] = ((at ^ leaf) << 10) | 1 << 8 | byte
        units[leaf] = 1 << 31 | place
    data = b"".join(u.to_bytes(4, "little") for u in units)
    return base64.b64encode(len(data).to_bytes(4, "little") + data + texts).decode()


def tokenizers():
    unk = {"unk_token": "<unk>"}
    full = list(BYTES)
    bert = of("BertNormalizer", clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=True)
    yield build(
        wordpiece(),
        bert,
        of("BertPreTokenizer"),
        template(),
        of("WordPiece", prefix="##", cleanup=True),
        [("[A]", {"special": True})],
    )
    yield build(
        wordpiece(),
        of("BertNormalizer", clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False),
        of("Whitespace"),
        None,
        of("WordPiece", prefix="##", cleanup=False),
        [("[A]", {"normalized": True})],
    )
    yield build(
        wordpiece(),
        of("Lowercase"),
        of("BertPreTokenizer"),
        of("BertProcessing", sep=["[A]", 1], cls=["[UNK]", 0]),
        None,
        [("Yesterday", {"normalized": True}), ("[A]", {"lstrip": True, "rstrip": True})],
    )
    yield build(
        wordpiece(),
        of("NFD"),
        of("Whitespace"),
        None,
        None,
        [("<x>", {"single_word": True}), ("<y>", {"normalized": True, "lstrip": True})],
    )
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        yield build(bpe(["<unk>"], **unk), of(form), of("WhitespaceSplit"))
    yield build(
        bpe(["<unk>"], fuse_unk=True, **unk),
        sequence("normalizers", of("NFKD"), of("StripAccents"), of("Lowercase")),
        of("Punctuation", behavior="Isolated"),
    )
    yield build(
        bpe(["<unk>"], **unk), of("Strip", strip_left=True, strip_right=True), of("Digits", individual_digits=True)
    )
    yield build(
        bpe(["<unk>"], **unk), of("Strip", strip_left=False, strip_right=True), of("Digits", individual_digits=False)
    )
    yield build(bpe(["<unk>"], **unk), of("Nmt"), of("CharDelimiterSplit", delimiter=" "))
    yield build(
        bpe(["<unk>"], **unk), of("Replace", pattern={"String": "a"}, content="ée"), of("FixedLength", length=3)
    )
    yield build(
        bpe(["<unk>"], **unk),
        of("Replace", pattern={"Regex": r"\s+"}, content="▁"),
        None,
        None,
        of("Replace", pattern={"String": "▁"}, content=" "),
    )
    yield build(
        bpe(["<unk>"], **unk),
        sequence("normalizers", of("Prepend", prepend="▁"), of("Replace", pattern={"String": " "}, content="▁")),
        None,
        None,
        sequence(
            "decoders",
            of("Replace", pattern={"String": "▁"}, content=" "),
            of("Fuse"),
            of("Strip", content=" ", start=1, stop=0),
        ),
    )
    yield build(
        bpe([f"<0x{b:02X}>" for b in range(256)] + ["<unk>"], byte_fallback=True, fuse_unk=True, **unk),
        of("NFC"),
        of("Metaspace", replacement="▁", prepend_scheme="first", split=False),
        None,
        sequence("decoders", of("ByteFallback"), of("Metaspace", replacement="▁", prepend_scheme="first", split=False)),
        [("<x>", {})],
    )
    yield build(
        bpe(["<unk>"] + [c + "</w>" for c in CHARS], end_of_word_suffix="</w>", **unk),
        of("Lowercase"),
        of("WhitespaceSplit"),
        None,
        of("BPEDecoder", suffix="</w>"),
    )
    yield build(
        bpe(["<unk>"] + ["##" + c for c in CHARS], merges=[], continuing_subword_prefix="##", **unk),
        None,
        of("Whitespace"),
    )
    yield build(bpe(chars=CHARS[:40]), None, of("WhitespaceSplit"))  # characters without a token, and no unknown one
    for behavior in ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"):
        yield build(bpe(["<unk>"], **unk), None, of("Punctuation", behavior=behavior))
        yield build(
            bpe(["<unk>"], **unk),
            None,
            of("Split", pattern={"Regex": r"[aeiou]|\s"}, behavior=behavior, invert=behavior == "Removed"),
        )
    yield build(bpe(["<unk>"], **unk), None, of("Split", pattern={"String": "."}, behavior="Removed", invert=False))
    yield build(
        bpe(chars=full),
        of("NFC"),
        byte_level(),
        byte_level(),
        byte_level(),
        [("<x>", {"lstrip": True, "special": True})],
    )
    yield build(bpe(chars=full), None, byte_level(prefix=True), byte_level(prefix=True), byte_level())
    yield build(
        bpe(chars=full),
        bert,
        byte_level(prefix=True),
        of("RobertaProcessing", sep=["b", 65], cls=["a", 64], trim_offsets=True, add_prefix_space=False),
        byte_level(),
        [("<x>", {"rstrip": True})],
    )
    yield build(
        bpe(chars=full, ignore_merges=True),
        None,
        sequence(
            "pretokenizers",
            of("Split", pattern={"Regex": GPT4}, behavior="Isolated", invert=False),
            byte_level(regex=False),
        ),
        sequence("processors", byte_level(trim=True), template()),
        byte_level(),
    )
    yield build(
        bpe(["<unk>"], chars=full[:150], **unk),
        None,
        sequence("pretokenizers", of("Digits", individual_digits=True), byte_level()),
        byte_level(trim=False),
        byte_level(),
    )
    yield build(bpe(chars=full), of("ByteLevel"), None, None, byte_level())
    yield build(word_level(), of("Lowercase"), of("Whitespace"))
    yield build(word_level(), None, sequence("pretokenizers", of("WhitespaceSplit"), of("Punctuation")))
    yield build(
        unigram(),
        sequence("normalizers", of("NFKC"), of("Precompiled", precompiled_charsmap=charsmap())),
        of("Metaspace", replacement="▁", prepend_scheme="always", split=True),
        None,
        of("Metaspace", replacement="▁", prepend_scheme="always", split=True),
    )
    yield build(
        unigram(True),
        None,
        of("Metaspace", replacement="▁", prepend_scheme="never", split=True),
        None,
        sequence("decoders", of("ByteFallback"), of("Fuse")),
    )
