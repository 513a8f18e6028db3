#!/usr/bin/env python3
"""Speed of our tokenizers beside Hugging Face's, both on one thread, in turns, on the same texts.

  tokenizers_benchmark.py DRIVER [ROUNDS]

DRIVER is build/tests/tokenizers_driver. Ours gives ids, types and offsets; Hugging Face's is timed in both of its ways:
`encode_batch` (all of that) and `encode_batch_fast` (no offsets). Prints the best and the median of the rounds in MB/s.
"""

import os

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"
import importlib.util
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden/tokenizers.py"
spec = importlib.util.spec_from_file_location("golden_tokenizers", GOLDEN)
sys.path.insert(0, str(GOLDEN.parent))
golden = importlib.util.module_from_spec(spec)
spec.loader.exec_module(golden)


def corpora():
    ptb = list(golden.lines_of(golden.DATA / "ptb/ptb.train.txt.gz"))
    wikitext = [line for name in ("valid", "test") for line in golden.lines_of(golden.DATA / f"wikitext2/{name}.txt")]
    shakespeare = list(golden.lines_of(golden.DATA / "tinyshakespeare.txt"))
    return {
        "ptb lines": ptb,
        "wikitext2 lines": wikitext,
        "tinyshakespeare lines": shakespeare,
        "code functions": list(golden.functions()),
    }


class Ours:
    def __init__(self, driver, tokenizer, texts):
        self.process = subprocess.Popen(
            [driver, "serve", str(tokenizer), str(texts)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout.readline().strip() == "ready"

    def run(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        seconds, tokens = self.process.stdout.readline().split()
        return float(seconds), int(tokens)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def timed(encode, texts):
    start = time.perf_counter()
    encodings = encode(texts)
    seconds = time.perf_counter() - start
    return seconds, sum(len(e) for e in encodings)


def main():
    driver, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 7
    print(
        "| tokenizer | texts | MB | ours MB/s (median) | encode_batch MB/s | encode_batch_fast MB/s | ours / encode_batch | ours / fast |"
    )
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "peers").mkdir()
        writer = golden.Driver(driver, folder)
        for peer, (path, tok) in golden.peers(folder / "peers").items():
            if peer in ("bert-cased", "roberta-prefix"):
                continue
            tok.no_truncation()
            tok.no_padding()
            for what, texts in corpora().items():
                megabytes = sum(len(t.encode()) for t in texts) / 1e6
                ours = Ours(driver, path, writer.write(texts))
                runs = {"ours": [], "all": [], "fast": []}
                for _ in range(rounds):
                    seconds, tokens = ours.run()
                    runs["ours"].append(seconds)
                    for kind, encode in (("all", tok.encode_batch), ("fast", tok.encode_batch_fast)):
                        seconds, count = timed(encode, texts)
                        assert count == tokens, (peer, what, count, tokens)
                        runs[kind].append(seconds)
                ours.close()
                best = {k: megabytes / min(v) for k, v in runs.items()}
                median = megabytes / statistics.median(runs["ours"])
                print(
                    f"| {peer} | {what} | {megabytes:.2f} | {best['ours']:.1f} ({median:.1f}) | {best['all']:.2f} | {best['fast']:.2f} | "
                    f"{best['ours'] / best['all']:.1f} | {best['ours'] / best['fast']:.1f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
