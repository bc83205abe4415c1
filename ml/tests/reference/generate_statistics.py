"""Reference values for src/domain/statistics: scipy's distributions, ranks, correlations and corrections.

Run: python ml/tests/reference/generate_statistics.py && npx biome format --write src/domain/testdata
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import scipy
from scipy import special, stats

OUTPUT = Path(__file__).resolve().parents[3] / "src/domain/testdata/statistics-reference.json"


def holm(p_values: list[float]) -> list[float]:
    order = np.argsort(p_values)
    adjusted = np.empty(len(p_values))
    running = 0.0
    for position, index in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - position) * p_values[index]))
        adjusted[index] = running
    return [float(value) for value in adjusted]


def main() -> None:
    rng = np.random.default_rng(5)
    x_values = [-40.0, -8.0, -3.1, -1.0, -0.2, 0.0, 0.1, 0.5, 1.2, 1.72, 1.74, 2.5, 4.0, 6.0, 9.0, 20.0, 37.0]
    p_values = [1e-300, 1e-20, 1e-6, 0.001, 0.02, 0.0243, 0.1, 0.25, 0.5, 0.6, 0.9, 0.975, 0.999, 1 - 1e-9]
    correlations = []
    for n, ties in [(5, False), (20, False), (60, True), (2_000, True)]:
        a, b = rng.normal(size=n), rng.normal(size=n)
        b = 0.4 * a + b
        if ties:
            a, b = np.round(a, 1), np.round(b, 0)
        correlations.append(
            {
                "a": a.tolist(),
                "b": b.tolist(),
                "ranks": stats.rankdata(a).tolist(),
                "pearson": float(stats.pearsonr(a, b).statistic),
                "spearman": float(stats.spearmanr(a, b).statistic),
            }
        )
    sample = np.sort(np.round(rng.normal(size=37), 2))
    raw_p = [0.001, 0.04, 0.03, 0.5, 0.03, 0.9, 0.0005, 0.2, 0.011]
    document = {
        "generator": "ml/tests/reference/generate_statistics.py",
        "scipy": scipy.__version__,
        "normalSf": [[x, float(stats.norm.sf(x))] for x in x_values],
        "normalQuantile": [[p, float(stats.norm.ppf(p))] for p in p_values],
        "studentTSf": [
            [t, df, float(stats.t.sf(t, df))]
            for t in [-3.0, -0.4, 0.0, 0.7, 2.1, 6.0, 30.0]
            for df in [1, 3, 18, 36, 400]
        ],
        "logGamma": [
            [x, float(special.gammaln(x))] for x in [0.1, 0.5, 1.0, 1.5, 2.0, 3.7, 18.0, 250.5, 1e4]
        ],
        "correlations": correlations,
        "quantiles": {
            "sorted": sample.tolist(),
            "pairs": [
                [q, float(np.quantile(sample, q))] for q in [0.0, 0.01, 0.1, 0.25, 1 / 3, 0.5, 0.9, 0.99, 1.0]
            ],
        },
        "multiple": {
            "p": raw_p,
            "benjaminiHochberg": stats.false_discovery_control(raw_p).tolist(),
            "holm": holm(raw_p),
        },
    }
    OUTPUT.write_text(json.dumps(document) + "\n")
    print(OUTPUT)


if __name__ == "__main__":
    main()
