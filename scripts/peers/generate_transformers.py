#!/usr/bin/env python3
"""Greedy generation with transformers' GPT-2, timed: the other side of generate_benchmark.py.

  python scripts/peers/generate_transformers.py [--folder DIR | --layers 12 --width 768 --heads 12 --vocabulary 50257]
         [--way generate|loop|gfsa] [--dtype f32|bf16] [--batch 1] [--prompt 64] [--tokens 128] [--threads 2] [--every 8] [--ids FILE]

--folder: a model that save_pretrained() wrote, else one with random weights (the time does not depend on them). --ids: a JSON list with
the prompt's ids of each text, else random ones. Ways to write on:
  generate   model.generate() with its cache
  loop       the model called with its cache and the likeliest token, nothing else
  gfsa       GFSA as published (A @ A; K = 4, wK = 0.1), which has no cache: the whole text for each token. Of these passes every
             --every th is run and counts as often.
Prints a JSON line: prompts and steps, each with tokens, seconds and tokens_per_second, as gfsa-eval --generate does (a step is every token
but the first, until there is the next), and the ids that were written.
"""
import argparse
import json
import time

import torch
import transformers

K, WK = 4, 0.1


def gfsa_attention(module, query, key, value, attention_mask, scaling=None, dropout=0.0, **kwargs):
    n = query.shape[2]
    scores = query @ key.transpose(-1, -2) * scaling
    a = scores.masked_fill(torch.ones(n, n, dtype=torch.bool).triu(1), float("-inf")).softmax(-1)
    filtered = a + WK * (a + (K - 1) * (a @ a - a))
    return (filtered @ value).transpose(1, 2).contiguous(), None


class Clock(transformers.StoppingCriteria):
    """Remembers when there was each token."""

    def __init__(self):
        self.times = [time.perf_counter()]

    def __call__(self, input_ids, scores, **kwargs):
        self.times.append(time.perf_counter())
        return torch.zeros(input_ids.shape[0], dtype=torch.bool)


def by_generate(model, prompt, tokens):
    clock = Clock()
    out = model.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=tokens, min_new_tokens=tokens, do_sample=False,
                         pad_token_id=0, stopping_criteria=transformers.StoppingCriteriaList([clock]))
    return out[:, prompt.shape[1]:], clock.times[1] - clock.times[0], clock.times[-1] - clock.times[1]


def by_loop(model, prompt, tokens):
    times, out, ids, cache = [time.perf_counter()], [], prompt, None
    for _ in range(tokens):
        made = model(ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache, ids = made.past_key_values, made.logits[:, -1].argmax(-1, keepdim=True)
        out.append(ids)
        times.append(time.perf_counter())
    return torch.cat(out, 1), times[1] - times[0], times[-1] - times[1]


def without_cache(model, prompt, tokens, every):
    def timed(ids):
        start = time.perf_counter()
        next_id = model(ids, use_cache=False, logits_to_keep=1).logits[:, -1].argmax(-1, keepdim=True)
        return next_id, time.perf_counter() - start

    next_id, first = timed(prompt)
    ids, rest = torch.cat([prompt, next_id], 1), 0.0
    for i in range(1, tokens):
        if (i - 1) % every == 0:
            next_id, seconds = timed(ids)
            rest += seconds * min(every, tokens - i)
        ids = torch.cat([ids, next_id], 1)
    return ids[:, prompt.shape[1]:], first, rest


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--folder")
    p.add_argument("--layers", type=int, default=12)
    p.add_argument("--width", type=int, default=768)
    p.add_argument("--heads", type=int, default=12)
    p.add_argument("--vocabulary", type=int, default=50257)
    p.add_argument("--way", choices=["generate", "loop", "gfsa"], default="generate")
    p.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    p.add_argument("--batch", type=int, default=1)
    p.add_argument("--prompt", type=int, default=64)
    p.add_argument("--tokens", type=int, default=128)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--every", type=int, default=8)
    p.add_argument("--ids")
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    transformers.AttentionInterface.register("gfsa", gfsa_attention)
    kind = dict(attn_implementation="gfsa" if a.way == "gfsa" else "sdpa", dtype=torch.bfloat16 if a.dtype == "bf16" else torch.float32)
    if a.folder:
        model = transformers.GPT2LMHeadModel.from_pretrained(a.folder, **kind)
    else:
        config = transformers.GPT2Config(n_layer=a.layers, n_embd=a.width, n_head=a.heads, vocab_size=a.vocabulary, n_positions=1024)
        config._attn_implementation = kind["attn_implementation"]
        model = transformers.GPT2LMHeadModel(config).to(kind["dtype"])
    model.eval()
    model.generation_config.eos_token_id = None
    if a.ids:
        with open(a.ids) as f:
            prompt = torch.tensor(json.load(f))
    else:
        prompt = torch.randint(0, model.config.vocab_size, (a.batch, a.prompt))
    with torch.inference_mode():
        if a.way == "gfsa":
            ids, first, rest = without_cache(model, prompt, a.tokens, a.every)
        else:
            ids, first, rest = (by_generate if a.way == "generate" else by_loop)(model, prompt, a.tokens)
    part = lambda tokens, seconds: dict(tokens=tokens, seconds=seconds, tokens_per_second=tokens / seconds if seconds else 0)
    print(json.dumps(dict(prompts=part(prompt.numel(), first), steps=part(prompt.shape[0] * (a.tokens - 1), rest), ids=ids.tolist())))


if __name__ == "__main__":
    main()
