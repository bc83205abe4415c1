"""The stack's mathematics: ridge logistic on base logits, sigmoid calibration, leak check. No I/O.

Rows of all blocks lie in one table in session order; `block` says which block a row belongs to.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .dataset import Doubles, Ints
from .errors import NumericFailure
from .models._base import sigmoid

#: Probabilities are kept this far from 0 and 1 before their logit is taken.
_EDGE = 1e-6
#: Fewest labelled rows a meta or a calibrator is fitted on.
_MIN_ROWS = 50
#: The first block (0-based) that has a meta: two blocks of out-of-fold predictions lie before it.
FIRST_META_BLOCK = 2

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Span:
    """Test sessions of one block."""

    first: int
    last: int


@dataclass(frozen=True)
class Stack:
    """Out-of-fold base logits z float64 [n, models], labels y (NaN: none), block and session of each row."""

    z: Doubles
    y: Doubles
    block: Ints
    session: Ints
    spans: tuple[Span, ...]
    horizon: int
    embargo: int


@dataclass(frozen=True)
class Ridge:
    """margin = z · weights + intercept."""

    weights: Doubles
    intercept: float

    def margin(self, z: Doubles) -> Doubles:
        """Log-odds before calibration."""
        return z @ self.weights + self.intercept


@dataclass(frozen=True)
class Meta:
    """A fitted stack: ridge, then p = sigmoid(a·margin + b). Unusable where the slope a is not positive."""

    ridge: Ridge
    a: float
    b: float
    usable: bool
    reason: str | None
    rows: int

    def probability(self, margin: Doubles, base_rate: float) -> Doubles:
        """Calibrated probability; the training base rate where the meta is unusable."""
        if not self.usable:
            return np.full(len(margin), base_rate)
        return sigmoid(self.a * margin + self.b)


def logit(probability: Doubles) -> Doubles:
    """Log-odds, with the probability kept off 0 and 1."""
    p = np.clip(probability, _EDGE, 1 - _EDGE)
    return np.log(p) - np.log1p(-p)


def fit_meta(stack: Stack, blocks: list[int], ridge_c: float, before: int | None) -> Meta:
    """Meta of the given blocks; `before`: first session of the block it will predict (purged against it).

    The ridge is fitted on all their rows, the calibrator on cross-fitted margins: each block's margin comes
    from a ridge on the other blocks, purged on both sides.
    """
    mask = np.isin(stack.block, blocks) & ~np.isnan(stack.y)
    if before is not None:
        mask &= stack.session + stack.horizon + stack.embargo <= before - 1
    if not _fittable(stack.y[mask]):
        return _none(stack, "too few labelled out-of-fold rows", int(mask.sum()))
    ridge = fit_ridge(stack.z[mask], stack.y[mask], ridge_c)

    margins, labels = [], []
    for held in blocks:
        test = mask & (stack.block == held)
        train = mask & (stack.block != held) & purged_around(stack, held)
        if test.any() and _fittable(stack.y[train]):
            margins.append(fit_ridge(stack.z[train], stack.y[train], ridge_c).margin(stack.z[test]))
            labels.append(stack.y[test])
    y = np.concatenate(labels) if labels else np.empty(0)
    if not _fittable(y):
        return Meta(ridge, 0.0, 0.0, False, "no cross-fitted rows to calibrate on", int(mask.sum()))
    a, b = fit_sigmoid(np.concatenate(margins), y)
    usable = a > 0
    reason = None if usable else f"calibration slope {a:.4g} is not positive"
    return Meta(ridge, a, b, usable, reason, int(mask.sum()))


def purged_around(stack: Stack, held: int) -> Mask:
    """Rows whose label interval, with the embargo, meets no session of the held block, on either side."""
    span = stack.spans[held]
    gap = stack.horizon + stack.embargo
    return (stack.session + gap <= span.first - 1) | (stack.session >= span.last + gap + 1)


def fit_ridge(z: Doubles, y: Doubles, ridge_c: float) -> Ridge:
    """Minimises mean log loss + |w|²/(2C) on standardised logits, intercept free; returns raw weights."""
    mean, scale = z.mean(axis=0), z.std(axis=0)
    scale = np.where(scale < 1e-12, 1.0, scale)
    solution = _newton((z - mean) / scale, y, 1 / ridge_c)
    weights = solution[:-1] / scale
    return Ridge(weights, float(solution[-1] - weights @ mean))


def fit_sigmoid(margin: Doubles, y: Doubles) -> tuple[float, float]:
    """Platt's a, b of p = sigmoid(a·margin + b), by maximum likelihood; a = 0 for a constant margin."""
    center, spread = float(margin.mean()), float(margin.std())
    rate = float(y.mean())
    if spread < 1e-12:
        return 0.0, float(np.log(rate) - np.log1p(-rate))
    # The trace of a penalty keeps separable labels (a planted leak) from running to infinity.
    slope, offset = _newton(((margin - center) / spread)[:, None], y, 1e-6)
    a = float(slope) / spread
    return a, float(offset) - a * center


def auc(score: Doubles, y: npt.NDArray[np.floating]) -> float:
    """Area under the ROC curve, ties counted half."""
    ones = y == 1
    positive, negative = int(ones.sum()), int((~ones).sum())
    if positive == 0 or negative == 0:
        return 0.5
    # Rank of a value = mean of the positions its ties take.
    _, place, count = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]
    return float((ranks[ones].sum() - positive * (positive + 1) / 2) / (positive * negative))


def leak_suspects(stack: Stack, models: list[str], limit: float) -> list[dict[str, str | int | float]]:
    """Base models whose out-of-fold AUC in a block no honest next-session model reaches.

    A model that saw its test block ranks it far better than chance. The bound is `limit`, or six standard
    errors of a chance AUC where a block is so small that chance itself reaches the limit.
    """
    found: list[dict[str, str | int | float]] = []
    for block in range(len(stack.spans)):
        rows = (stack.block == block) & ~np.isnan(stack.y)
        y = stack.y[rows]
        ones, zeros = float((y == 1).sum()), float((y == 0).sum())
        if min(ones, zeros) < 2:
            continue
        error = np.sqrt((ones + zeros + 1) / (12 * ones * zeros))
        bound = max(limit, 0.5 + 6 * float(error))
        for column, model in enumerate(models):
            value = auc(stack.z[rows, column], y)
            if value > bound:
                found.append({"model": model, "blockIndex": block, "auc": round(value, 6)})
    return found


def _fittable(y: Doubles) -> bool:
    return len(y) >= _MIN_ROWS and 0 < y.sum() < len(y)


def _none(stack: Stack, reason: str, rows: int) -> Meta:
    return Meta(Ridge(np.zeros(stack.z.shape[1]), 0.0), 0.0, 0.0, False, reason, rows)


def _newton(x: Doubles, y: Doubles, penalty: float) -> Doubles:
    """Newton's method with step halving for the penalised mean log loss; last element = intercept."""
    n, columns = x.shape
    design = np.column_stack((x, np.ones(n)))
    ridge = np.full(columns + 1, penalty)
    ridge[-1] = 0.0
    beta = np.zeros(columns + 1)
    beta[-1] = np.log(y.mean()) - np.log1p(-y.mean())
    loss = _loss(design, y, beta, ridge)
    for _ in range(100):
        p = sigmoid(design @ beta)
        gradient = design.T @ (p - y) / n + ridge * beta
        hessian = (design.T * (p * (1 - p))) @ design / n + np.diag(ridge + 1e-12)
        step = np.linalg.solve(hessian, gradient)
        size = 1.0
        while (trial := _loss(design, y, beta - size * step, ridge)) > loss and size > 1e-6:
            size /= 2
        if trial <= loss:
            beta, loss = beta - size * step, trial
        if np.abs(size * step).max() < 1e-10 or size <= 1e-6:
            break
    if not np.isfinite(beta).all():
        raise NumericFailure("meta: the ridge logistic did not converge")
    return beta


def _loss(design: Doubles, y: Doubles, beta: Doubles, ridge: Doubles) -> float:
    margin = design @ beta
    return float((np.logaddexp(0, margin) - y * margin).mean() + 0.5 * (ridge * beta * beta).sum())
