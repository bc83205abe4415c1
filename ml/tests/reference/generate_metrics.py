"""Reference values for src/domain/metrics: scikit-learn, scipy and pandas on a small panel with ties and gaps.

Run: python ml/tests/reference/generate_metrics.py && npx biome format --write src/domain/testdata
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import sklearn
from numpy.typing import NDArray
from scipy import optimize, stats
from sklearn import metrics

Floats = NDArray[np.float64]
OUTPUT = Path(__file__).resolve().parents[3] / "src/domain/testdata/metrics-reference.json"


def calibration(target: Floats, probability: Floats) -> tuple[float, float]:
    """Intercept and slope of the maximum likelihood logistic regression of the target on logit(p)."""
    z = np.log(probability) - np.log1p(-probability)

    def negative_log_likelihood(beta: Floats) -> float:
        eta = beta[0] + beta[1] * z
        return float(np.sum(np.logaddexp(0, eta) - target * eta))

    fit = optimize.minimize(negative_log_likelihood, np.zeros(2), method="BFGS", options={"gtol": 1e-10})
    return float(fit.x[0]), float(fit.x[1])


def panel(seed: int, sessions: int, symbols: int, signal: float) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    session = np.repeat(np.arange(sessions) + 100, symbols)
    symbol = np.tile(np.arange(symbols), sessions)
    market = np.repeat(rng.normal(0, 0.01, sessions), symbols)
    score = rng.normal(size=sessions * symbols)
    returns = np.round(market + 0.02 * (signal * score + rng.normal(size=len(score))), 4)
    probability = np.round(1 / (1 + np.exp(-(0.05 + 0.3 * score))), 3)
    target = (returns > market).astype(float)
    target[rng.random(len(target)) < 0.03] = np.nan
    returns[rng.random(len(returns)) < 0.03] = np.nan
    probability[rng.random(len(probability)) < 0.02] = np.nan
    keep = rng.random(len(session)) < 0.95
    session, symbol = session[keep], symbol[keep]
    target, returns, probability = target[keep], returns[keep], probability[keep]
    labelled = ~np.isnan(target) & ~np.isnan(probability)
    y, p = target[labelled], probability[labelled]
    ics, aucs = [], []
    for s in np.unique(session):
        rows = (session == s) & ~np.isnan(returns) & ~np.isnan(probability)
        if rows.sum() >= 20:
            ics.append(float(stats.spearmanr(probability[rows], returns[rows]).statistic))
        rows = (session == s) & labelled
        if len(np.unique(target[rows])) == 2:
            aucs.append(float(metrics.roc_auc_score(target[rows], probability[rows])))
    intercept, slope = calibration(y, p)
    base = np.where(session < 100 + sessions // 2, 0.47, 0.53)
    return {
        "session": session.tolist(),
        "symbol": symbol.tolist(),
        "target": nulls(target),
        "forwardReturn": nulls(returns),
        "probability": nulls(probability),
        "baseRate": base.tolist(),
        "expected": {
            "rows": len(y),
            "positiveShare": float(y.mean()),
            "aucPooled": float(metrics.roc_auc_score(y, p)),
            "aucWithinSession": float(np.mean(aucs)),
            "logLoss": float(metrics.log_loss(y, p)),
            "brier": float(metrics.brier_score_loss(y, p)),
            "accuracy": float(metrics.accuracy_score(y, p > 0.5)),
            "calibrationSlope": slope,
            "calibrationIntercept": intercept,
            "ic": float(np.mean(ics)) if ics else None,
            "icSessions": len(ics),
            "logLossGain": float(metrics.log_loss(y, base[labelled]) - metrics.log_loss(y, p)),
        },
    }


def nulls(values: Floats) -> list[float | None]:
    return [None if math.isnan(v) else float(v) for v in values]


def main() -> None:
    extreme = [0.0, 1.0, 1e-20, 1 - 1e-9, 0.5, 0.3]
    document = {
        "generator": "ml/tests/reference/generate_metrics.py",
        "sklearn": sklearn.__version__,
        "scipy": scipy.__version__,
        "panels": [panel(1, 30, 24, 0.15), panel(2, 26, 30, 0.0), panel(3, 12, 8, 0.3)],
        "logLoss": [
            [t, p, float(metrics.log_loss([t], [p], labels=[0, 1]))] for t in (0, 1) for p in extreme
        ],
    }
    OUTPUT.write_text(json.dumps(document) + "\n")
    print(OUTPUT)


if __name__ == "__main__":
    main()
