"""Reference values for src/domain/drift.ts: numpy for shares, PSI and KL, scipy for the KS test.

Run: python ml/tests/reference/generate_drift.py && npx biome format --write src/domain/testdata
"""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
OUTPUT = Path(__file__).resolve().parents[3] / "src/domain/testdata/drift-reference.json"


def shares(
    baseline: Floats, current: Floats, bins: int, floor: float, missing: str
) -> tuple[Floats, Floats, Floats]:
    """Edges and floored shares as docs/definitions.md defines them, written the plain way."""
    base, cur = baseline[~np.isnan(baseline)], current[~np.isnan(current)]
    edges = np.unique(np.quantile(base, np.arange(1, bins) / bins))
    base_counts = np.bincount(np.searchsorted(edges, base, side="right"), minlength=len(edges) + 1)
    cur_counts = np.bincount(np.searchsorted(edges, cur, side="right"), minlength=len(edges) + 1)
    if missing == "bin":
        base_counts = np.append(base_counts, len(baseline) - len(base))
        cur_counts = np.append(cur_counts, len(current) - len(cur))
    return (
        edges,
        np.maximum(base_counts / base_counts.sum(), floor),
        np.maximum(cur_counts / cur_counts.sum(), floor),
    )


def json_values(values: Floats) -> list[float | str | None]:
    """NaN as null, infinities as words: JSON has neither."""
    return [
        None if math.isnan(v) else ("Infinity" if v > 0 else "-Infinity") if math.isinf(v) else float(v)
        for v in values
    ]


def spread(count: int, step: int, modulus: int) -> Floats:
    """A deterministic sample that TypeScript can build with the same arithmetic."""
    return ((np.arange(count, dtype=np.int64) * step) % modulus) / modulus


def case(
    name: str,
    baseline: Floats,
    current: Floats,
    *,
    bins: int = 10,
    floor: float = 1e-4,
    missing: str = "drop",
    inputs: dict[str, Any] | None = None,
) -> dict[str, Any]:
    edges, b, c = shares(baseline, current, bins, floor, missing)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ks = stats.ks_2samp(baseline[~np.isnan(baseline)], current[~np.isnan(current)], method="asymp")
    return {
        "name": name,
        "inputs": inputs or {"baseline": json_values(baseline), "current": json_values(current)},
        "options": {"bins": bins, "floor": floor, "missing": missing},
        "edges": json_values(edges),
        "baselineShares": b.tolist(),
        "currentShares": c.tolist(),
        "psi": float(np.sum((c - b) * np.log(c / b))),
        "currentGivenBaseline": float(np.sum(c * np.log(c / b))),
        "baselineGivenCurrent": float(np.sum(b * np.log(b / c))),
        "statistic": float(ks.statistic),
        "pValue": float(ks.pvalue),
    }


def drift_cases() -> list[dict[str, Any]]:
    rng = np.random.default_rng(20180207)
    nan, inf = np.nan, np.inf
    normal = rng.normal(size=300)
    with_gaps = np.where(rng.random(200) < 0.1, nan, rng.normal(size=200))
    more_gaps = np.where(rng.random(150) < 0.3, nan, rng.normal(0.4, 1.3, size=150))
    cases = [
        case("same distribution", normal, rng.normal(size=120)),
        case("shifted", normal, rng.normal(0.5, 1.0, size=120)),
        case("wider", normal, rng.normal(0.0, 2.0, size=120)),
        case("current is the baseline", normal, normal),
        case("disjoint, current above", rng.random(80), rng.random(60) + 5),
        case("disjoint, current below", rng.random(80), rng.random(60) - 5),
        case("heavy ties", rng.integers(0, 4, 200).astype(float), rng.integers(0, 5, 90).astype(float)),
        case("half zero, half spread", np.where(rng.random(200) < 0.5, 0.0, rng.random(200)), rng.random(70)),
        case("constant baseline, same value", np.full(50, 3.0), np.full(20, 3.0)),
        case("constant baseline, other values", np.full(50, 3.0), np.array([2.0, 3.0, 3.0, 4.0, 5.0])),
        case("constant current", normal, np.full(40, 0.25)),
        case("five values against five", np.array([1.0, 2, 3, 4, 5]), np.array([2.0, 2, 6, 7, 1])),
        case("five values, all different", np.array([5.0, 1, 4, 2, 3]), np.array([1.5, 2.5, 3.5, 4.5, 9])),
        case("eleven values on the edges", np.arange(11.0), np.arange(11.0)),
        case("1001 values on the edges", np.arange(1.0, 1002.0), np.arange(1.0, 1002.0, 10.0)),
        case("two values against one", np.array([1.0, 2.0]), np.array([2.0])),
        case("three values against three", np.array([1.0, 2.0, 3.0]), np.array([2.0, 3.0, 9.0])),
        case("one value against one", np.array([1.0]), np.array([2.0])),
        case("missing values dropped", with_gaps, more_gaps),
        case("missing values in a bin", with_gaps, more_gaps, missing="bin"),
        case("missing only in current, in a bin", normal, more_gaps, missing="bin"),
        case("missing only in baseline, in a bin", with_gaps, normal, missing="bin"),
        case("infinities in current", normal, np.array([inf, -inf, 0.0, 1.0, inf])),
        case("infinities at the ends of the baseline", np.append(normal, [inf, -inf]), rng.normal(size=60)),
        case("four bins", normal, rng.normal(0.3, 1.0, size=99), bins=4),
        case("twenty bins, large floor", normal, rng.normal(1.3, 1.0, size=35), bins=20, floor=0.01),
        case("tiny and huge numbers", rng.normal(size=90) * 1e-300, rng.normal(size=80) * 1e300),
        case(
            "float32 values",
            rng.normal(size=200).astype(np.float32).astype(float),
            rng.normal(0.1, 1, size=190).astype(np.float32).astype(float),
        ),
        case("negative zero", np.array([-0.0, 0.0, -0.0, 1.0]), np.array([0.0, -0.0, 2.0])),
    ]
    for n, m, squared, shift in [
        (20_000, 1_000, False, 0.0),
        (200_000, 10_000, False, 0.01),
        (5_000, 5_000, True, 0.0),
    ]:
        inputs = {
            "formula": "((i * step) % modulus) / modulus, current squared or shifted",
            "baseline": [n, 7_919, 100_003],
            "current": [m, 104_729, 1_000_003],
            "squared": squared,
            "shift": shift,
        }
        current = spread(m, 104_729, 1_000_003)
        current = current * current if squared else current + shift
        cases.append(case(f"{n} against {m}", spread(n, 7_919, 100_003), current, inputs=inputs))
    return cases


def kolmogorov_cases() -> list[list[float]]:
    """[n, d, kstwo.sf(d, n)] over every branch of the tail."""
    rows: list[list[float]] = []
    for n in [
        1,
        2,
        3,
        4,
        5,
        7,
        10,
        20,
        37,
        60,
        100,
        139,
        140,
        141,
        200,
        500,
        1_000,
        2_000,
        9_524,
        50_000,
        99_999,
        100_001,
        400_000,
    ]:
        scaled = np.array(
            [
                0.2,
                0.27,
                0.35,
                0.45,
                0.5,
                0.6,
                0.7,
                0.85,
                0.87,
                1.0,
                1.2,
                1.36,
                1.48,
                1.5,
                1.9,
                2.01,
                2.5,
                3.2,
                4.0,
                6.0,
            ]
        )
        for d in [
            *(scaled / math.sqrt(n)),
            0.4 / n,
            0.5 / n,
            0.8 / n,
            1.0 / n,
            1.7 / n,
            0.5,
            0.75,
            1 - 1 / n,
            1 - 0.5 / n,
            0.0,
            1.0,
        ]:
            if 0 <= d <= 1:
                rows.append([n, float(d), float(stats.kstwo.sf(d, n))])
    return rows


def main() -> None:
    document = {
        "generator": "ml/tests/reference/generate_drift.py",
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "cases": drift_cases(),
        "kolmogorov": kolmogorov_cases(),
    }
    OUTPUT.write_text(json.dumps(document, indent=1, allow_nan=True).replace("NaN", "null") + "\n")
    print(f"{OUTPUT}: {len(document['cases'])} cases, {len(document['kolmogorov'])} tail values")


if __name__ == "__main__":
    main()
