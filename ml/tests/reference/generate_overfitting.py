"""Reference values for src/domain/backtest/cscv.ts: every split written out with itertools, ranks with scipy.

Run: python ml/tests/reference/generate_overfitting.py && npx biome format --write src/domain/testdata
"""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
OUTPUT = Path(__file__).resolve().parents[3] / "src/domain/testdata/overfitting-reference.json"


def sharpe(half: Floats) -> Floats:
    """Per column; a column of equal returns has 0 where they are 0, else infinity with their sign."""
    ratio = np.empty(half.shape[1])
    for i, column in enumerate(half.T):
        if np.ptp(column) > 0:
            ratio[i] = column.mean() / column.std(ddof=1)
        else:
            ratio[i] = 0.0 if column[0] == 0 else math.copysign(math.inf, column[0])
    return ratio


def cscv(returns: Floats, parts: int) -> dict[str, Any]:
    """Bailey, Borwein, Lopez de Prado and Zhu (2015), section 2, steps 1 to 5."""
    sessions, series = returns.shape
    blocks = np.split(np.arange(sessions), parts)
    logits, inside, outside = [], [], []
    for chosen in itertools.combinations(range(parts), parts // 2):
        rows = np.concatenate([blocks[b] for b in chosen])
        rest = np.concatenate([blocks[b] for b in range(parts) if b not in chosen])
        here, there = sharpe(returns[rows]), sharpe(returns[rest])
        best = int(np.argmax(here))
        # Twelve digits: equal columns stay equal whatever order a library adds them in.
        rank = stats.rankdata(np.round(there, 12))[best]
        omega = rank / (series + 1)
        logits.append(math.log(omega / (1 - omega)))
        inside.append(here[best])
        outside.append(there[best])
    return {
        "combinations": len(logits),
        "probability": float(np.mean(np.array(logits) <= 1e-12)),
        "medianLogit": float(np.median(logits)),
        "probabilityOfLoss": float(np.mean(np.array(outside) < 0)),
        "bestInSample": float(np.mean(inside)),
        "bestOutOfSample": float(np.mean(outside)),
    }


def book(rng: np.random.Generator, sessions: int, series: int, *, common: float, lag: float) -> Floats:
    """Returns of strategies that share a part and remember the day before."""
    own = rng.standard_t(4, (sessions, series))
    shared = rng.standard_t(4, (sessions, 1))
    noise = math.sqrt(common) * shared + math.sqrt(1 - common) * own
    for day in range(1, sessions):
        noise[day] += lag * noise[day - 1]
    return 0.006 * noise


def main() -> None:
    rng = np.random.default_rng(2015)
    noise = book(rng, 96, 10, common=0.0, lag=0.0)
    alike = book(rng, 112, 7, common=0.8, lag=0.2)
    skilled = book(rng, 80, 5, common=0.3, lag=0.0)
    skilled[:, 3] += 0.003
    compensating = book(rng, 64, 8, common=0.0, lag=0.0)
    compensating -= compensating.mean(axis=0)
    tied = book(rng, 48, 6, common=0.5, lag=0.0)
    tied[:, 4] = tied[:, 1]
    tied[:24, 5] = 0.0
    cases = []
    for name, returns, parts in [
        ("noise", noise, 16),
        ("alike", alike, 14),
        ("skilled", skilled, 10),
        ("compensating", compensating, 16),
        ("two equal series and one that trades in one half only", tied, 8),
        ("two parts", skilled, 2),
    ]:
        rounded = np.round(returns, 6)
        cases.append(
            {
                "name": name,
                "subBlocks": parts,
                "series": rounded.T.tolist(),
                "expected": cscv(rounded, parts),
            }
        )
    OUTPUT.write_text(
        json.dumps({"generator": "ml/tests/reference/generate_overfitting.py", "cases": cases}) + "\n"
    )
    print(OUTPUT.name)


if __name__ == "__main__":
    main()
