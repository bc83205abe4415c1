"""PSI, KL and KS of bench/drift.ts with numpy and scipy, and with a presorted baseline; prints JSON.

Usage: drift_reference.py RAW FEATURES BASELINE_ROWS CURRENT_ROWS ROUNDS; RAW holds float64 values, baseline
then current, feature by feature.
"""

import json
import sys
import time
from collections.abc import Callable

import numpy as np
from scipy import stats

Floats = np.ndarray
Row = list[float]
QUANTILES = np.arange(1, 10) / 10
FLOOR = 1e-4


def divergences(b: Floats, c: Floats) -> Row:
    b, c = np.maximum(b, FLOOR), np.maximum(c, FLOOR)
    logs = np.log(c / b)
    return [float(np.sum((c - b) * logs)), float(np.sum(c * logs)), float(-np.sum(b * logs))]


def plain(baseline: Floats, current: Floats) -> Row:
    """What one writes with numpy and scipy: every comparison starts from the raw baseline."""
    edges = np.unique(np.quantile(baseline, QUANTILES))
    bins = len(edges) + 1
    b = np.bincount(np.searchsorted(edges, baseline, side="right"), minlength=bins) / len(baseline)
    c = np.bincount(np.searchsorted(edges, current, side="right"), minlength=bins) / len(current)
    ks = stats.ks_2samp(baseline, current, method="asymp")
    return [*divergences(b, c), float(ks.statistic), float(ks.pvalue)]


def presorted(stored: tuple[Floats, Floats, Floats], current: Floats) -> Row:
    """The same numbers from a stored baseline (sorted values, edges, shares), still vectorised numpy."""
    values, edges, b = stored
    ordered = np.sort(current)
    cuts = np.searchsorted(ordered, edges, side="left")
    c = np.diff(np.concatenate(([0], cuts, [len(ordered)]))) / len(ordered)
    n, m = len(ordered), len(values)
    at = (
        np.searchsorted(ordered, ordered, side="right") / n
        - np.searchsorted(values, ordered, side="right") / m
    )
    before = (
        np.searchsorted(ordered, ordered, side="left") / n - np.searchsorted(values, ordered, side="left") / m
    )
    statistic = float(max(np.abs(at).max(), np.abs(before).max()))
    p = float(stats.kstwo.sf(statistic, np.round(n * m / (n + m))))
    return [*divergences(b, c), statistic, p]


def store(baseline: Floats) -> tuple[Floats, Floats, Floats]:
    values = np.sort(baseline)
    edges = np.unique(np.quantile(values, QUANTILES))
    cuts = np.searchsorted(values, edges, side="left")
    return values, edges, np.diff(np.concatenate(([0], cuts, [len(values)]))) / len(values)


def timed(rounds: int, work: Callable[[], list[Row]]) -> tuple[list[float], list[Row]]:
    seconds: list[float] = []
    rows: list[Row] = []
    for round_number in range(rounds + 1):
        started = time.perf_counter()
        rows = work()
        if round_number > 0:
            seconds.append(time.perf_counter() - started)
    return seconds, rows


def main() -> None:
    raw = np.fromfile(sys.argv[1], dtype=np.float64)
    features, baseline_rows, current_rows, rounds = (int(a) for a in sys.argv[2:6])
    table = raw.reshape(features, baseline_rows + current_rows)
    baselines, currents = table[:, :baseline_rows].copy(), table[:, baseline_rows:].copy()
    plain_seconds, plain_rows = timed(
        max(1, rounds // 3), lambda: [plain(b, c) for b, c in zip(baselines, currents, strict=True)]
    )
    stored = [store(b) for b in baselines]
    fast_seconds, fast_rows = timed(
        rounds, lambda: [presorted(s, c) for s, c in zip(stored, currents, strict=True)]
    )
    print(
        json.dumps(
            {
                "seconds": {
                    "numpy and scipy, raw baseline": plain_seconds,
                    "numpy, stored baseline": fast_seconds,
                },
                "plain": plain_rows,
                "presorted": fast_rows,
            }
        )
    )


if __name__ == "__main__":
    main()
