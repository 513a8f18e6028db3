#!/usr/bin/env python3
"""Golden values of the text metrics: scikit-learn and SciPy on random and degenerate inputs.

Needs numpy, scipy and scikit-learn. Writes tests/golden/text_metrics.json.
"""
import json
import math
import pathlib
import warnings

import numpy as np
import scipy
import sklearn
from scipy import stats
from sklearn import metrics

warnings.simplefilter("ignore")
rng = np.random.default_rng(20261127)


def number(x):
    x = float(x)
    return x if math.isfinite(x) else None


def classes(truth, predicted):
    truth, predicted = list(map(int, truth)), list(map(int, predicted))
    return {
        "truth": truth,
        "predicted": predicted,
        "accuracy": number(metrics.accuracy_score(truth, predicted)),
        # Of class 1 against all others, also where there are more than two.
        "f1": number(metrics.f1_score(np.array(truth) == 1, np.array(predicted) == 1, zero_division=0)),
        "macro_f1": number(metrics.f1_score(truth, predicted, average="macro", zero_division=0)),
        "matthews": number(metrics.matthews_corrcoef(truth, predicted)),
    }


def correlations(x, y):
    x, y = [float(v) for v in x], [float(v) for v in y]
    try:
        pearson, spearman = stats.pearsonr(x, y)[0], stats.spearmanr(x, y)[0]
    except ValueError:  # of one value
        pearson = spearman = math.nan
    return {"x": x, "y": y, "pearson": number(pearson), "spearman": number(spearman)}


class_cases = []
for n, k in [(1, 2), (2, 2), (7, 2), (50, 2), (50, 2), (40, 3), (60, 5)]:
    truth = rng.integers(0, k, n)
    noise = rng.random(n) < 0.3
    class_cases.append(classes(truth, np.where(noise, rng.integers(0, k, n), truth)))
zeros, ones, mixed = np.zeros(9), np.ones(9), np.arange(9) % 2
for truth, predicted in [(zeros, zeros), (ones, ones), (zeros, ones), (ones, zeros), (mixed, zeros), (mixed, ones),
                         (zeros, mixed), (mixed, mixed), (mixed, 1 - mixed), (2 * ones, mixed), (mixed, 2 * ones)]:
    class_cases.append(classes(truth, predicted))

pair_cases = []
for n in (2, 3, 10, 60):
    x = rng.normal(size=n)
    pair_cases.append(correlations(x, 0.5 * x + rng.normal(size=n)))
pair_cases.append(correlations(rng.integers(0, 4, 50), rng.integers(0, 4, 50)))  # many equal ranks
pair_cases.append(correlations(1e6 + rng.normal(size=30), 1e-6 * rng.normal(size=30)))
pair_cases.append(correlations(np.arange(8), np.arange(8) ** 3))
pair_cases.append(correlations(np.arange(8), -np.arange(8)))
pair_cases.append(correlations(np.ones(5), np.arange(5)))
pair_cases.append(correlations(np.arange(5), np.full(5, 2.5)))
pair_cases.append(correlations(np.ones(5), np.ones(5)))
pair_cases.append(correlations([1.0], [2.0]))

out = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/text_metrics.json"
text = {"sklearn": sklearn.__version__, "scipy": scipy.__version__, "classes": class_cases, "pairs": pair_cases}
out.write_text(json.dumps(text, indent=None, separators=(",", ":")).replace("},{", "},\n{") + "\n")
