"""Reference values for src/domain/backtest: the walk-forward written as plain loops, ratios with numpy and scipy.

Run: python ml/tests/reference/generate_backtest.py && npx biome format --write src/domain/testdata
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
OUTPUT = Path(__file__).resolve().parents[3] / "src/domain/testdata/backtest-reference.json"


def walk_forward(
    opens: Floats,
    closes: Floats,
    scores: Floats,
    *,
    horizon: int,
    quantile: float,
    bps: float,
    borrow_bps: float,
) -> dict[str, Any]:
    """Dictionaries by session; each position is followed day by day."""
    sessions, symbols = closes.shape
    gross: dict[int, float] = {}
    cost: dict[int, float] = {}
    borrow: dict[int, float] = {}
    traded: dict[int, float] = {}
    fills = {"filled": 0, "missing_entry": 0, "missing_exit": 0, "pending": 0}
    for s in range(sessions):
        ranked = sorted(
            (i for i in range(symbols) if not math.isnan(scores[s, i])), key=lambda i: (-scores[s, i], i)
        )
        side = min(len(ranked) // 2, max(1, math.floor(len(ranked) * quantile + 1e-9)))
        # A symbol that ties with the first one left out of its side is not preferred to it.
        top_out, bottom_out = (scores[s, ranked[k]] for k in (side, len(ranked) - side - 1))
        book = [(i, 1.0) for i in ranked[:side] if scores[s, i] > top_out]
        book += [(i, -1.0) for i in ranked[len(ranked) - side :] if scores[s, i] < bottom_out]
        for symbol, sign in book:
            last = s + horizon
            if last >= sessions:
                fills["pending"] += 1
                continue
            entry, leave = opens[s + 1, symbol], closes[last, symbol]
            if math.isnan(entry):
                fills["missing_entry"] += 1
                continue
            if math.isnan(leave):
                fills["missing_exit"] += 1
                continue
            fills["filled"] += 1
            size = 0.5 / horizon / side
            shares = sign * size / entry
            mark = entry
            for day in range(s + 1, last + 1):
                price = mark if math.isnan(closes[day, symbol]) else closes[day, symbol]
                gross[day] = gross.get(day, 0.0) + shares * (price - mark)
                mark = price
                if sign < 0:
                    borrow[day] = borrow.get(day, 0.0) + size * borrow_bps / 1e4 / 252
            for day, amount in ((s + 1, size), (last, abs(shares) * leave)):
                cost[day] = cost.get(day, 0.0) + amount * bps / 1e4
                traded[day] = traded.get(day, 0.0) + amount
    days = range(1, sessions)
    column = {
        name: [table.get(day, 0.0) for day in days]
        for name, table in (("gross", gross), ("cost", cost), ("borrow", borrow), ("traded", traded))
    }
    net = np.array(column["gross"]) - np.array(column["cost"]) - np.array(column["borrow"])
    equity = np.cumprod(1 + net)
    peaks = np.maximum.accumulate(np.concatenate(([1.0], equity)))[1:]
    per_session = float(net.mean() / net.std(ddof=1))
    return {
        **column,
        "net": net.tolist(),
        "fills": fills,
        "totalNet": float(equity[-1] - 1),
        "drawdown": float(np.max(1 - equity / peaks)),
        "sharpe": per_session * math.sqrt(252),
        "deflatedSharpe": deflated(
            per_session, len(net), float(stats.skew(net)), float(stats.kurtosis(net, fisher=False)), 9, 0.003
        ),
        "breakEvenCostBps": float(
            (sum(column["gross"]) - sum(column["borrow"])) / sum(column["traded"]) * 1e4
        ),
    }


def deflated(sharpe: float, n: int, skew: float, kurtosis: float, trials: int, variance: float) -> float:
    """Bailey and Lopez de Prado (2014), equations 1 and 2."""
    gamma = 0.5772156649015329
    expected = (1 - gamma) * stats.norm.ppf(1 - 1 / trials) + gamma * stats.norm.ppf(
        1 - 1 / (trials * math.e)
    )
    hurdle = math.sqrt(variance) * expected
    return float(
        stats.norm.cdf(
            (sharpe - hurdle)
            * math.sqrt(n - 1)
            / math.sqrt(1 - skew * sharpe + (kurtosis - 1) / 4 * sharpe**2)
        )
    )


def market(seed: int, sessions: int, symbols: int) -> tuple[Floats, Floats, Floats]:
    rng = np.random.default_rng(seed)
    closes = 50 * np.exp(np.cumsum(rng.normal(0, 0.02, (sessions, symbols)), axis=0))
    opens = closes * np.exp(rng.normal(0, 0.01, (sessions, symbols)))
    scores = np.round(rng.uniform(0.4, 0.6, (sessions, symbols)), 2)
    opens[rng.random(opens.shape) < 0.03] = np.nan
    closes[rng.random(closes.shape) < 0.03] = np.nan
    scores[rng.random(scores.shape) < 0.05] = np.nan
    return np.round(opens, 3), np.round(closes, 3), scores


def nulls(values: Floats) -> list[float | None]:
    return [None if math.isnan(v) else float(v) for v in values.ravel()]


def main() -> None:
    cases = []
    for seed, horizon, quantile, bps, borrow_bps in [
        (1, 1, 0.2, 5.0, 50.0),
        (2, 3, 0.25, 10.0, 300.0),
        (3, 5, 0.1, 0.0, 0.0),
    ]:
        opens, closes, scores = market(seed, 40, 12)
        cases.append(
            {
                "sessions": 40,
                "symbols": 12,
                "open": nulls(opens),
                "close": nulls(closes),
                "probability": nulls(scores),
                "horizonSessions": horizon,
                "quantile": quantile,
                "costBpsPerSide": bps,
                "borrowBpsPerYear": borrow_bps,
                "expected": walk_forward(
                    opens, closes, scores, horizon=horizon, quantile=quantile, bps=bps, borrow_bps=borrow_bps
                ),
            }
        )
    OUTPUT.write_text(
        json.dumps({"generator": "ml/tests/reference/generate_backtest.py", "cases": cases}) + "\n"
    )
    print(OUTPUT)


if __name__ == "__main__":
    main()
