"""Logistic regression on standardised features."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._base import Doubles, FitContext, Floats, Model, Progress, Real, Whole
from ._container import pack_arrays, unpack_arrays


@dataclass(frozen=True)
class Linear:
    """margin = x · coefficients + intercept."""

    coefficients: Doubles
    intercept: float


class _Report:
    def __init__(self, progress: Progress, iterations: int) -> None:
        self._progress = progress
        self._iterations = iterations
        self._done = 0

    def setup(self, estimator: Any, context: Any) -> None:
        pass

    def on_fit_task_begin(self, estimator: Any, context: Any, **_: Any) -> None:
        pass

    def on_fit_task_end(self, estimator: Any, context: Any, **_: Any) -> bool:  # noqa: ARG002
        self._done += 1
        self._progress("fit", min(self._done, self._iterations), self._iterations)
        return False

    def teardown(self, estimator: Any, context: Any) -> None:
        pass


class LogisticRegression(Model[Linear]):
    id = "logisticRegression"
    order = 7
    space = "logOdds"
    inputs = "scaled"
    explained_by = "linear"
    modules = ("sklearn.linear_model",)
    declared = {
        "maxIterations": Whole(200, 1, 10_000),
        "regularizationC": Real(1.0, 1e-6, 1e6),
    }

    @property
    def library(self) -> str:
        import sklearn

        return f"scikit-learn {sklearn.__version__}"

    def fit(self, x: Floats, y: Floats, context: FitContext) -> Linear:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression

        given = context.parameters
        model = SklearnLogisticRegression(
            C=given["regularizationC"], max_iter=given["maxIterations"], random_state=context.seed
        )
        model.set_callbacks(_Report(context.progress, given["maxIterations"]))
        with warnings.catch_warnings():
            # Stopping at maxIterations is the budget, not a fault.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(x, y)
        return Linear(model.coef_[0].astype(np.float64), float(model.intercept_[0]))

    def margin(self, fitted: Linear, x: Floats, threads: int) -> Doubles:  # noqa: ARG002
        return x.astype(np.float64) @ fitted.coefficients + fitted.intercept

    def explained(self, fitted: Linear) -> tuple[Doubles, float]:
        return fitted.coefficients, fitted.intercept

    def save(self, fitted: Linear) -> bytes:
        return pack_arrays(
            {"coefficients": fitted.coefficients, "intercept": np.array([fitted.intercept], dtype=np.float64)}
        )

    def load(self, data: bytes) -> Linear:
        arrays = unpack_arrays(data)
        return Linear(arrays["coefficients"], float(arrays["intercept"][0]))


MODEL = LogisticRegression()
