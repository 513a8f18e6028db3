"""Golden values of the tests between variants: tests/golden/statistics.json.

    python scripts/golden/statistics.py [OUTPUT]          (needs scipy and numpy)
"""
import json
import pathlib
import sys

import numpy
import scipy
from scipy import stats

SAMPLES = [
    ([79.61, 79.55, 79.72], [80.02, 79.98, 80.11]),
    ([79.61, 79.55], [80.02, 79.98]),
    ([1.25, 2.5, 3.125, 4.75, 8.5], [2.0, 2.25, 3.5, 5.0, 8.0]),
    ([0.1, 0.2, 0.4], [1e3, 2e3, 7e3, -4e3]),
    ([2.3611, 2.3496, 2.3448], [2.3615, 2.3496, 2.3435]),
    ([10.0, 10.0, 10.0, 10.5], [10.0, 10.0]),
    ([90.0, 91.0, 92.0, 93.0], [10.0, 11.0, 12.5, 13.0]),
]


def interval(values):
    low, high = stats.t.interval(0.95, len(values) - 1, loc=numpy.mean(values), scale=stats.sem(values))
    return {"mean": float(numpy.mean(values)), "sd": float(numpy.std(values, ddof=1)), "low": float(low), "high": float(high)}


def test(result):
    bounds = result.confidence_interval(0.95)
    return {"t": float(result.statistic), "degrees": float(result.df), "p": float(result.pvalue),
            "low": float(bounds.low), "high": float(bounds.high)}


def main():
    cases = []
    for first, second in SAMPLES:
        case = {"first": first, "second": second, "describe": interval(first)}
        case["welch"] = test(stats.ttest_ind(second, first, equal_var=False))
        if len(first) == len(second):
            case["paired"] = test(stats.ttest_rel(second, first))
        cases.append(case)
    output = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2] / "tests/golden/statistics.json")
    output.write_text(json.dumps({"versions": {"scipy": scipy.__version__, "numpy": numpy.__version__}, "cases": cases}, indent=1) + "\n")


main()
