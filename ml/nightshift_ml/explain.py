"""SHAP values of one model or of any function of rows. The only module that imports shap, and lazily."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .dataset import Doubles, Floats
from .errors import NumericFailure
from .fitted import FittedModel
from .models._base import Progress
from .showing_life import LONGEST_IMPORT_SECONDS, showing_life

#: Rows evaluated in one call of the explained function.
_EVALUATED_ROWS = 50_000


@dataclass(frozen=True)
class Explained:
    """f(row) = base + Σ values; values float64 [rows, features], base and output float64 [rows]."""

    values: Doubles
    base: Doubles
    output: Doubles

    @property
    def max_error(self) -> float:
        """Largest |f − (base + Σ values)|."""
        return float(np.abs(self._gap()).max())

    @property
    def additive(self) -> bool:
        """Whether every row's sum is within max(1e-6, 1e-5·|f|) of the output."""
        return bool((np.abs(self._gap()) <= np.maximum(1e-6, 1e-5 * np.abs(self.output))).all())

    def _gap(self) -> Doubles:
        return np.asarray(self.output - (self.base + self.values.sum(axis=1)), dtype=np.float64)


def explain_fitted(
    fitted: FittedModel, x: Floats, *, seed: int, threads: int, progress: Progress
) -> Explained:
    """SHAP of raw rows x in the model's own space, per raw feature. Raises NumericFailure."""
    match fitted.model.explained_by:
        case "tree":
            values, base = _tree(fitted, x, _shap(progress))
        case "linear":
            values, base = _linear(fitted, x, _shap(progress))
        case "permutation":

            def margin(rows: Floats) -> Doubles:
                return fitted.margin(rows, threads)

            return explain_function(margin, fitted.background, x, seed=seed, progress=progress)
    if fitted.preprocess is not None:
        values = fitted.preprocess.to_features(values)
    return _finite(Explained(values, np.full(len(x), base), fitted.margin(x, threads)))


def explain_function(
    function: Callable[[Floats], Doubles], background: Floats, x: Floats, *, seed: int, progress: Progress
) -> Explained:
    """Permutation SHAP with 2M + 1 evaluations a row: one permutation of the features there and back.

    The values are those of `shap.PermutationExplainer(seed=seed)(x, max_evals=2M + 1)` (tested), without its
    seconds of just-in-time compilation in every process, and many rows in one call of the function.
    """
    features = x.shape[1]
    steps = 2 * features + 1
    random = np.random.RandomState(seed)
    values = np.zeros((len(x), features))
    base = np.zeros(len(x))
    at_once = max(1, _EVALUATED_ROWS // (steps * len(background)))
    for start in range(0, len(x), at_once):
        progress("explain", start, len(x))
        chunk = x[start : start + at_once]
        orders = [random.permutation(features) for _ in chunk]
        rows = np.concatenate(
            [_path(row, order, background) for row, order in zip(chunk, orders, strict=True)]
        )
        means = function(rows).reshape(len(chunk), steps, len(background)).mean(axis=2)
        for k, order in enumerate(orders):
            gains = np.diff(means[k])
            # There: a feature's own value comes in. Back: it goes out again, in the same order.
            values[start + k, order] = (gains[:features] - gains[features:]) / 2
        base[start : start + len(chunk)] = means[:, 0]
    progress("explain", len(x), len(x))
    return _finite(Explained(values, base, function(x)))


def _path(row: Floats, order: npt.NDArray[np.int64], background: Floats) -> Floats:
    """Background rows with the row's values put in one by one, then taken out: [(2M + 1) · rows, M]."""
    features = len(row)
    present = np.zeros((2 * features + 1, features), dtype=bool)
    for step, feature in enumerate(order):
        present[step + 1 : features + step + 1, feature] = True
    mixed = np.where(present[:, None, :], row, background[None, :, :])
    return mixed.reshape(-1, features).astype(np.float32, copy=False)


def _tree(fitted: FittedModel, x: Floats, shap: Any) -> tuple[Doubles, float]:
    explainer = shap.TreeExplainer(
        fitted.model.explained(fitted.fitted), feature_perturbation="tree_path_dependent"
    )
    with warnings.catch_warnings():
        # The library says that LightGBM's shape changed once; both shapes are handled below.
        warnings.simplefilter("ignore", UserWarning)
        # Additivity is judged by `Explained`, with a tighter bound than the library's own.
        values = np.asarray(
            explainer.shap_values(fitted.columns(x), check_additivity=False), dtype=np.float64
        )
    base = np.atleast_1d(np.asarray(explainer.expected_value, dtype=np.float64))
    if values.ndim == 3:
        values = values[:, :, 1]
    return values, float(base[-1])


def _shap(progress: Progress) -> Any:
    """The library; its import says that it goes on, or it would count as a hung process."""
    if (known := sys.modules.get("shap")) is not None:
        return known
    with showing_life(progress, "load", limit_seconds=LONGEST_IMPORT_SECONDS), _without_plots():
        return importlib.import_module("shap")


@contextmanager
def _without_plots() -> Iterator[None]:
    """Nothing is drawn here: where matplotlib cannot be imported, shap loads without its plots, faster."""
    if "matplotlib" in sys.modules:
        yield
        return
    sys.modules["matplotlib"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["matplotlib"]


def _linear(fitted: FittedModel, x: Floats, shap: Any) -> tuple[Doubles, float]:
    coefficients, intercept = fitted.model.explained(fitted.fitted)
    background = fitted.columns(fitted.background).astype(np.float64)
    explainer = shap.LinearExplainer(
        (coefficients, intercept), shap.maskers.Independent(background, max_samples=len(background))
    )
    values = np.asarray(explainer.shap_values(fitted.columns(x).astype(np.float64)), dtype=np.float64)
    return values, float(np.atleast_1d(explainer.expected_value)[0])


def _finite(explained: Explained) -> Explained:
    for part in (explained.values, explained.base, explained.output):
        if not np.isfinite(part).all():
            raise NumericFailure("explanation is not finite")
    return explained
