#!/usr/bin/env python3
"""Times generation with GPT-2 (124M) by gfsa-eval and by transformers in turn (A B A B ...) and prints the ratios as a Markdown table.

  python scripts/peers/generate_benchmark.py [--gfsa build/gfsa-eval] [--python PYTHON] [--dtypes f32,bf16] [--batches 1,8]
         [--attention softmax,gfsa] [--prompt 64] [--tokens 128] [--threads 2] [--rounds 3] [--every 8] [--output FILE.json]

Both read the same seeded random weights, which are saved once with transformers; prompts are the same random tokens, and each token that
follows is the likeliest. Softmax stands against generate_transformers.py's ways `generate` and `loop`, which have a cache; GFSA, with a
cache here, against the published code's only way, the whole text for each token. Each round runs every program once, one after the other;
figures are medians over the rounds: "tokens/s" of the tokens after the first one, "first" the time until that one is there (both sides
cold). "ratio" is our tokens/s over that of the fastest PyTorch row: above 1 we are faster. "same": texts of which all tokens are those that
transformers chose (f32 and softmax; the others round differently).
"""
import argparse
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
WAYS = {"softmax": ["generate", "loop"], "gfsa": ["gfsa"]}
ATTENTION = {"softmax": "attention=softmax", "gfsa": "attention={variant: gfsa, K: 4}"}
# The folder's weights, and the same ones with the filter's beside them in its folder `gfsa`.
MAKE_MODEL = """
import pathlib, shutil, sys, safetensors.torch, torch, transformers
folder = pathlib.Path(sys.argv[1])
torch.manual_seed(0)
config = transformers.GPT2Config(bos_token_id=0, eos_token_id=0)
transformers.GPT2LMHeadModel(config).save_pretrained(folder)
weights = safetensors.torch.load_file(folder / "model.safetensors")
for i in range(config.n_layer):
    weights[f"transformer.h.{i}.attn.gfsa.wK"] = torch.full([config.n_head], 0.1)
(folder / "gfsa").mkdir()
safetensors.torch.save_file(weights, folder / "gfsa" / "model.safetensors")
shutil.copy(folder / "config.json", folder / "gfsa")
"""
VOCABULARY = 50257


def run(command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, env=dict(os.environ, GFSA_LOG="warn"))
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def write_tokenizer(folder):
    """A word for each id: t0, t1, ..."""
    model = dict(type="WordLevel", vocab={f"t{i}": i for i in range(VOCABULARY)}, unk_token="t0")
    tokenizer = dict(version="1.0", truncation=None, padding=None, added_tokens=[], normalizer=None, pre_tokenizer=dict(type="WhitespaceSplit"),
                     post_processor=None, decoder=None, model=model)
    for place in (folder, folder / "gfsa"):
        (place / "tokenizer.json").write_text(json.dumps(tokenizer))


def ours(a, folder, prompts, dtype, attention):
    weights = (folder if attention == "softmax" else folder / "gfsa") / "model.safetensors"
    command = [a.gfsa, weights, "--config", ROOT / "configs" / "benchmark" / "gpt2.yaml", ATTENTION[attention],
               f"precision={dtype}", f"threads={a.threads}", "--max-tokens", a.tokens, "--temperature", 0, "--output", folder / "ours.json"]
    for ids in prompts:
        command += ["--generate", " ".join(f"t{i}" for i in ids)]
    run(command)
    made = json.loads((folder / "ours.json").read_text())
    made["ids"] = [[int(word[1:]) for word in text["continuation"].split()] for text in made["texts"]]
    return made


def theirs(a, folder, prompts, dtype, way):
    (folder / "ids.json").write_text(json.dumps(prompts))
    command = [a.python, pathlib.Path(__file__).parent / "generate_transformers.py", "--folder", folder, "--ids", folder / "ids.json", "--way", way,
               "--dtype", dtype, "--tokens", a.tokens, "--threads", a.threads, "--every", a.every]
    return json.loads(run(command).strip().splitlines()[-1])


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--gfsa", default=str(ROOT / "build" / "gfsa-eval"))
    p.add_argument("--python", default=sys.executable)
    p.add_argument("--dtypes", default="f32,bf16")
    p.add_argument("--batches", default="1,8")
    p.add_argument("--attention", default="softmax,gfsa")
    p.add_argument("--prompt", type=int, default=64)
    p.add_argument("--tokens", type=int, default=128)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--every", type=int, default=8, help="of the passes without a cache only every so many are run")
    p.add_argument("--output")
    a = p.parse_args()
    temporary = tempfile.TemporaryDirectory()
    folder = pathlib.Path(temporary.name)
    run([a.python, "-c", MAKE_MODEL, folder])
    write_tokenizer(folder)
    speed = lambda runs: [r["steps"]["tokens_per_second"] for r in runs]
    first = lambda runs: 1e3 * statistics.median(r["prompts"]["seconds"] for r in runs)
    results = []
    print("| attention | dtype | batch | ours tokens/s | PyTorch tokens/s (row) | ratio (each round) | ours first ms | PyTorch first ms | same |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    for attention in a.attention.split(","):
        for dtype in a.dtypes.split(","):
            for batch in map(int, a.batches.split(",")):
                draw = random.Random(batch)
                prompts = [[draw.randrange(VOCABULARY) for _ in range(a.prompt)] for _ in range(batch)]
                mine, peers = [], {way: [] for way in WAYS[attention]}
                for _ in range(a.rounds):
                    mine.append(ours(a, folder, prompts, dtype, attention))
                    for way in peers:
                        peers[way].append(theirs(a, folder, prompts, dtype, way))
                best = max(peers, key=lambda way: statistics.median(speed(peers[way])))
                rates = statistics.median(speed(mine)), statistics.median(speed(peers[best]))
                spread = [x / y for x, y in zip(speed(mine), speed(peers[best]))]
                same = sum(x == y for x, y in zip(mine[0]["ids"], peers[best][0]["ids"]))
                exact = f"{same} of {batch}" if (attention, dtype) == ("softmax", "f32") else ""
                results.append(dict(attention=attention, dtype=dtype, batch=batch, ours=mine, pytorch=peers, ratio=rates[0] / rates[1]))
                print(f"| {attention} | {dtype} | {batch} | {rates[0]:.1f} | {rates[1]:.1f} ({best}) | {rates[0] / rates[1]:.2f} "
                      f"({', '.join(f'{x:.2f}' for x in spread)}) | {first(mine):.0f} | {first(peers[best]):.0f} | {exact} |", flush=True)
    if a.output:
        pathlib.Path(a.output).write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
