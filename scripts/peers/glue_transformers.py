#!/usr/bin/env python3
"""Fine-tunes a Hugging Face encoder on a GLUE task with transformers: the other side of docs/results.md's comparison.

  python scripts/peers/glue_transformers.py --model FOLDER --task CoLA --data GLUE_FOLDER [--seed 0] [--epochs 5]
         [--batch 32] [--lr 2e-5] [--max-length 128] [--train-rows 0] [--threads 2]

The recipe of configs/text/glue: AdamW without weight decay, learning rate linear to 0 without warm-up, no clipping, dynamic
padding, evaluation on the whole dev set after each epoch. --train-rows N takes N rows evenly spaced in the training file,
the same that `data.limit` takes (0: all). Prints one JSON line an epoch; `metric` is the task's: Matthews (CoLA), F1 (MRPC), Spearman (STS-B), else accuracy,
in percent.
"""
import argparse
import csv
import json
import pathlib
import time

import scipy.stats
import sklearn.metrics
import torch
import transformers

# Columns of text, pair and label; CoLA has no header.
COLUMNS = {"CoLA": (3, None, 1), "SST-2": ("sentence", None, "label"), "MRPC": ("#1 String", "#2 String", "Quality"),
           "RTE": ("sentence1", "sentence2", "label"), "STS-B": ("sentence1", "sentence2", "score"),
           "WNLI": ("sentence1", "sentence2", "label")}


def rows_of(path, task):
    text, pair, label = COLUMNS[task]
    with open(path, encoding="utf-8-sig", newline="") as f:
        lines = list(csv.reader(f, delimiter="\t", quoting=csv.QUOTE_NONE))
    if task != "CoLA":
        header, lines = lines[0], lines[1:]
        text, pair, label = header.index(text), pair and header.index(pair), header.index(label)
    return [(line[text], line[pair] if pair else None, line[label]) for line in lines if line]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", required=True)
    p.add_argument("--task", required=True, choices=COLUMNS)
    p.add_argument("--data", required=True)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--epochs", type=int, default=5)
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--lr", type=float, default=2e-5)
    p.add_argument("--max-length", type=int, default=128)
    p.add_argument("--train-rows", type=int, default=0)
    p.add_argument("--threads", type=int, default=2)
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    torch.set_flush_denormal(True)  # the moments of rows seldom seen decay into them: several times slower, no other difference
    torch.manual_seed(a.seed)
    transformers.logging.set_verbosity_error()

    folder = pathlib.Path(a.data) / a.task
    train, dev = rows_of(folder / "train.tsv", a.task), rows_of(folder / "dev.tsv", a.task)
    if 0 < a.train_rows < len(train):
        train = [train[i * len(train) // a.train_rows] for i in range(a.train_rows)]
    regression = a.task == "STS-B"
    names = sorted({row[2] for row in train})
    label_of = (lambda s: float(s)) if regression else (lambda s: names.index(s))
    tokenizer = transformers.AutoTokenizer.from_pretrained(a.model)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(a.model, num_labels=1 if regression else len(names))
    optimizer = torch.optim.AdamW(model.parameters(), lr=a.lr, weight_decay=0)
    per_epoch = (len(train) + a.batch - 1) // a.batch
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: max(0.0, 1 - s / (a.epochs * per_epoch)))

    def encoded(rows):
        pairs = [r[1] for r in rows] if rows[0][1] is not None else None
        x = tokenizer([r[0] for r in rows], pairs, truncation=True, max_length=a.max_length, padding=True, return_tensors="pt")
        return x, torch.tensor([label_of(r[2]) for r in rows])

    order, started = torch.Generator().manual_seed(a.seed), time.time()
    for epoch in range(a.epochs):
        model.train()
        permutation = torch.randperm(len(train), generator=order).tolist()
        for i in range(0, len(train), a.batch):
            x, y = encoded([train[j] for j in permutation[i:i + a.batch]])
            logits = model(**x).logits
            loss = (torch.nn.functional.mse_loss(logits[:, 0], y.float()) if regression
                    else torch.nn.functional.cross_entropy(logits, y))
            loss.backward()
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        trained = time.time() - started
        model.eval()
        predicted, truth = [], []
        with torch.no_grad():
            for i in range(0, len(dev), 128):
                x, y = encoded(dev[i:i + 128])
                logits = model(**x).logits
                predicted += (logits[:, 0] if regression else logits.argmax(1)).tolist()
                truth += y.tolist()
        if regression:
            metric = scipy.stats.spearmanr(predicted, truth)[0]
        elif a.task == "CoLA":
            metric = sklearn.metrics.matthews_corrcoef(truth, predicted)
        elif a.task == "MRPC":
            metric = sklearn.metrics.f1_score(truth, predicted)
        else:
            metric = sklearn.metrics.accuracy_score(truth, predicted)
        print(json.dumps(dict(task=a.task, seed=a.seed, epoch=epoch + 1, metric=100 * metric, loss=loss.item(), seconds=round(trained, 1))), flush=True)


if __name__ == "__main__":
    main()
