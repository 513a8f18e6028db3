#!/usr/bin/env python3
"""Times training steps of gfsa-train and of PyTorch in turn (A B A B ...) and prints the ratios as a Markdown table.

  python scripts/peers/benchmark.py --peer pytorch_peer.py [--gfsa build/gfsa-train] [--python PYTHON] [--models vit_small32,deit_s]
                                    [--dtypes f32,bf16] [--attention softmax,gfsa] [--rounds 3] [--steps 5] [--compile] [--output FILE.json]

--peer is a script that takes --model, --attention softmax|sdpa|gfsa|gfsa_two_pass, --dtype, --steps, --compile and prints a JSON line with
step_ms.median and peak_rss_mb: one training step of the same model in PyTorch. Each round runs, one after the other, our program and
every PyTorch row of the same work; a figure is the median over the rounds of each run's median step. "ratio" is our time over
that of the best PyTorch row: below 1 we are faster. Both sides flush denormal numbers to zero (the peer's GPT-2 begins with a loss of 100
and more, and without that its steps take between 4 and 25 s on one machine). Models are configs/benchmark/*.yaml: vit_small32, deit_s, bert_base, gpt2.
"GEMM share" is the step's rate (multiply-adds of the model over the time) over that of a large product of ours, "oneDNN share" over that
of oneDNN's primitives at the shapes of the step's own products, on operands that stay in the caches / on operands of their own for each call, as
in a step; all measured in the same process.
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
ROWS = {"softmax": ["softmax", "sdpa"], "gfsa": ["gfsa", "gfsa_two_pass"]}


def last_json(command):
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ, GFSA_LOG="warn"))
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def write_texts(folder):
    """What bert_base and gpt2 are timed on: words at random. Every text has more tokens than are looked at."""
    words = random.Random(0)
    text = lambda n: " ".join(f"w{words.randrange(5000)}" for _ in range(n))
    for split in ("train", "val"):
        rows = [f"{text(200)},{i % 2}" for i in range(64)]
        (folder / f"{split}.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
        (folder / f"{split}.txt").write_text(text(8 * 1024 + 1) + "\n")


FLUSHED = "import runpy, sys, torch; torch.set_flush_denormal(True); sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--peer", required=True)
    p.add_argument("--gfsa", default=str(ROOT / "build" / "gfsa-train"))
    p.add_argument("--python", default=sys.executable)
    p.add_argument("--models", default="vit_small32,deit_s")
    p.add_argument("--dtypes", default="f32,bf16")
    p.add_argument("--attention", default="softmax,gfsa")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--steps", type=int, default=5)
    p.add_argument("--compile", action="store_true", help="also torch.compile's rows (minutes of compilation each)")
    p.add_argument("--output")
    a = p.parse_args()
    results = []
    texts = tempfile.TemporaryDirectory()
    write_texts(pathlib.Path(texts.name))
    print("| model | dtype | attention | ours ms | GEMM share | oneDNN share | PyTorch ms (row) | ratio (each round) | ours MB | PyTorch MB | ratio |")
    print("|---|---|---|---|---|---|---|---|---|---|---|", flush=True)
    for model in a.models.split(","):
        for dtype in a.dtypes.split(","):
            for attention in a.attention.split(","):
                rows = [(row, c) for row in ROWS[attention] for c in ([False, True] if a.compile else [False])]
                ours, theirs = [], {row: [] for row in rows}
                for _ in range(a.rounds):
                    # K = 4 and wK away from 0, as in the peer.
                    keys = ["attention=softmax"] if attention == "softmax" else ["attention={variant: gfsa, K: 4, wK_init: 0.1}"]
                    if model in ("bert_base", "gpt2"):
                        keys.append(f"data.path={texts.name}")
                    ours.append(last_json([a.gfsa, "--config", str(ROOT / "configs" / "benchmark" / f"{model}.yaml"), "--benchmark", str(a.steps),
                                           f"precision={dtype}", *keys]))
                    for row, compiled in rows:
                        command = [a.python, "-c", FLUSHED, a.peer, "--model", model, "--attention", row, "--dtype", dtype, "--steps", str(a.steps)]
                        theirs[row, compiled].append(last_json(command + (["--compile"] if compiled else [])))
                time = {row: statistics.median(r["step_ms"]["median"] for r in runs) for row, runs in theirs.items()}
                best = min(time, key=time.get)
                memory = min(statistics.median(r["peak_rss_mb"] for r in runs) for runs in theirs.values())
                mine = statistics.median(r["step_ms"]["median"] for r in ours)
                my_memory = statistics.median(r["peak_rss_mb"] for r in ours)
                spread = [o["step_ms"]["median"] / t["step_ms"]["median"] for o, t in zip(ours, theirs[best])]
                share, warm, cold = (statistics.median(r.get(key, float("nan")) for r in ours)
                                     for key in ("gemm_share", "library_share", "library_cold_share"))
                results.append(dict(model=model, dtype=dtype, attention=attention, ours=ours, pytorch={f"{r}{' compiled' if c else ''}": v for (r, c), v in theirs.items()},
                                    ratio=mine / time[best], memory_ratio=my_memory / memory))
                print(f"| {model} | {dtype} | {attention} | {mine:.0f} | {share:.2f} | {warm:.2f} / {cold:.2f} | {time[best]:.0f} ({best[0]}{', compiled' if best[1] else ''}) | "
                      f"{mine / time[best]:.2f} ({', '.join(f'{x:.2f}' for x in spread)}) | {my_memory:.0f} | {memory:.0f} | {my_memory / memory:.2f} |", flush=True)
    if a.output:
        pathlib.Path(a.output).write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
