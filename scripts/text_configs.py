#!/usr/bin/env python3
"""Writes configs/text/glue and configs/text/clm: a file for every row of the published tables of the language experiments
(arXiv 2312.04234, tables 1 and 2), and its GFSA twins.

What the rows share stands in configs/text/base, by hand; here is only what tells them apart.
"""
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[1] / "configs/text"

# Name in files: (GLUE's folder, its name in the table, published base / GFSA / GFSA_even by encoder).
TASKS = {
    "cola": ("CoLA", "Matthews", {"bert": (56.79, 59.56, 58.80), "albert": (57.86, 60.21), "roberta": (60.34, 64.11)}),
    "sst2": ("SST-2", "accuracy", {"bert": (93.81, 94.15, 93.69), "albert": (92.32, 93.23), "roberta": (94.84, 95.41)}),
    "mrpc": ("MRPC", "F1", {"bert": (88.70, 90.60, 90.50), "albert": (91.80, 92.47), "roberta": (92.28, 93.52)}),
    "qqp": ("QQP", "F1", {"bert": (88.32, 88.46, 88.47), "albert": (85.30, 87.79), "roberta": (88.86, 89.09)}),
    "stsb": ("STS-B", "Spearman", {"bert": (88.16, 88.33, 88.27), "albert": (90.37, 90.63), "roberta": (89.99, 90.35)}),
    "mnli": ("MNLI", "accuracy, matched/mismatched",
             {"bert": ("84.96/84.15", "85.12/85.06", "85.13/85.02"), "albert": ("85.37/84.37", "85.29/84.92"),
              "roberta": ("87.94/87.30", "87.99/87.54")}),
    "qnli": ("QNLI", "accuracy", {"bert": (91.63, 91.95, 91.65), "albert": (91.76, 92.17), "roberta": (92.57, 92.97)}),
    "rte": ("RTE", "accuracy", {"bert": (66.06, 68.95, 70.76), "albert": (76.90, 78.70), "roberta": (78.70, 80.14)}),
    "wnli": ("WNLI", "accuracy", {}),
}
# K and w0 of the scripts of the reference code; for the other tasks it has none.
COLA = {"bert": (4, -0.01), "albert": (10, 0.05), "roberta": (6, -0.05)}
# Corpus: (name, published GPT-2 / GFSA / GFSA_even, K of the scripts).
CORPORA = {
    "ptb": ("Penn Treebank", (19.513, 19.450, 19.453), 7),
    "wikitext2": ("WikiText-2 (raw)", (20.966, 20.923, 20.926), 9),
    "wikitext103": ("WikiText-103 (raw)", (15.939, 15.919, 15.923), 3),
}


def write(name, text):
    path = ROOT / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def published(figures, index, metric, table):
    if len(figures) <= index:
        return "Not in the published table."
    return f"Published: {metric} {figures[index]} (arXiv 2312.04234v1, {table})."


def twins(stem, figures, metric, table, gfsa):
    """The row with GFSA in all layers, and in every second one."""
    write(f"{stem}_gfsa.yaml",
          f"# {pathlib.Path(stem).name}.yaml with GFSA: nothing but the attention differs. "
          f"{published(figures, 1, metric, table)}\n"
          f"defaults: [{pathlib.Path(stem).name}.yaml]\n\n"
          f"attention:\n{gfsa}")
    write(f"{stem}_gfsa_even.yaml",
          f"# {pathlib.Path(stem).name}_gfsa.yaml with GFSA in layers 0, 2, 4, ... only. "
          f"{published(figures, 2, metric, table)}\n"
          f"# Whether the paper counts its even layers from 0 or 1 is not known.\n"
          f"defaults: [{pathlib.Path(stem).name}_gfsa.yaml]\n\n"
          "attention: {layers: even}\n")


def main():
    for task, (folder, metric, rows) in TASKS.items():
        for encoder in ("bert", "albert", "roberta"):
            figures = rows.get(encoder, ())
            stem = f"glue/{encoder}_{task}"
            more = ""
            if task == "mnli":
                more = "# The other dev set: gfsa-eval RUN --split val_mismatched.\n"
            if task == "wnli":
                more = "# WNLI is in no published table: its dev set is made to mislead.\n"
            write(f"{stem}.yaml",
                  f"# {encoder} on GLUE's {folder}. {published(figures, 0, metric, 'table 1')}\n{more}"
                  f"defaults: [../base/glue.yaml, ../base/{encoder}.yaml]\n\n"
                  f"data: {{task: {task}, path: \"${{env:GFSA_DATA:-data}}/glue/{folder}\"}}\n")
            if task == "cola":
                k, w0 = COLA[encoder]
                gfsa = (f"  variant: gfsa\n  K: {k}  # [code]: the script of this experiment, --K {k} --w_0 {w0}\n"
                        f"  w0: {w0}  # [code]\n")
            else:
                gfsa = ("  variant: gfsa\n  K: 3  # the published K (searched in 2..10) and w0 of this task are not known\n"
                        "  w0: 0\n")
            twins(stem, figures, metric, "table 1", gfsa)
    for corpus, (name, figures, k) in CORPORA.items():
        stem = f"clm/gpt2_{corpus}"
        write(f"{stem}.yaml",
              f"# GPT-2 (124M) on {name}. {published(figures, 0, 'validation perplexity', 'table 2')}\n"
              f"defaults: [../base/clm.yaml, ../base/{corpus}.yaml]\n")
        twins(stem, figures, "validation perplexity", "table 2",
              f"  variant: gfsa\n  K: {k}  # [code]: the script of this experiment, --K {k}\n  w0: 0  # [code]: left at its default\n")


if __name__ == "__main__":
    main()
