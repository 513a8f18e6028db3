#!/usr/bin/env python3
"""Greedy generation with transformers' GPT-2, timed: the other side of docs/results.md's tokens per second.

  python scripts/peers/generate_transformers.py [--layers 12 --width 768 --heads 12 --vocabulary 50257] [--prompt 16] [--tokens 128]
         [--batch 1] [--no-cache] [--threads 2] [--rounds 3]

Weights are random: the time does not depend on them. Prints one JSON line with tokens per second, the median of the rounds.
"""
import argparse
import json
import statistics
import time

import torch
import transformers


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--layers", type=int, default=12)
    p.add_argument("--width", type=int, default=768)
    p.add_argument("--heads", type=int, default=12)
    p.add_argument("--vocabulary", type=int, default=50257)
    p.add_argument("--prompt", type=int, default=16)
    p.add_argument("--tokens", type=int, default=128)
    p.add_argument("--batch", type=int, default=1)
    p.add_argument("--no-cache", action="store_true")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--rounds", type=int, default=3)
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    config = transformers.GPT2Config(n_layer=a.layers, n_embd=a.width, n_head=a.heads, vocab_size=a.vocabulary, n_positions=1024,
                                     bos_token_id=0, eos_token_id=None)
    model = transformers.GPT2LMHeadModel(config).eval()
    prompt = torch.randint(0, a.vocabulary, (a.batch, a.prompt))
    rates = []
    with torch.no_grad():
        for _ in range(a.rounds):
            started = time.time()
            out = model.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=a.tokens, min_new_tokens=a.tokens,
                                 do_sample=False, use_cache=not a.no_cache, pad_token_id=0)
            rates.append(a.batch * (out.shape[1] - a.prompt) / (time.time() - started))
    print(json.dumps(dict(tokens_per_second=statistics.median(rates), rounds=rates, cache=not a.no_cache, batch=a.batch)))


if __name__ == "__main__":
    main()
