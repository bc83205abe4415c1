"""scikit-learn's histogram gradient boosting."""

from __future__ import annotations

import contextlib
import io
import re
from typing import TYPE_CHECKING

import numpy as np

from ._base import Doubles, FitContext, Floats, Model, Progress, Real, Whole
from ._pickle import dump_estimator, load_estimator

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingClassifier

_LINE = re.compile(r"\[(\d+)/(\d+)\]")


class _Report(io.TextIOBase):
    """The library has no callback: its own line per tree, `[12/150] …`, is the progress."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def write(self, text: str) -> int:
        for done, total in _LINE.findall(text):
            self._progress("fit", int(done), int(total))
        return len(text)


class HistGradientBoosting(Model["HistGradientBoostingClassifier"]):
    id = "histGradientBoosting"
    order = 4
    space = "logOdds"
    inputs = "native"
    explained_by = "tree"
    modules = ("sklearn.ensemble",)
    declared = {
        "trees": Whole(150, 1, 5000),
        "learningRate": Real(0.05, 1e-4, 1),
        "leaves": Whole(31, 2, 1024),
        "minRowsPerLeaf": Whole(100, 1, 1_000_000),
        "maxBins": Whole(63, 2, 255),
    }

    @property
    def library(self) -> str:
        import sklearn

        return f"scikit-learn {sklearn.__version__}"

    def fit(self, x: Floats, y: Floats, context: FitContext) -> HistGradientBoostingClassifier:
        from sklearn.ensemble import HistGradientBoostingClassifier

        given = context.parameters
        model = HistGradientBoostingClassifier(
            max_iter=given["trees"],
            learning_rate=given["learningRate"],
            max_leaf_nodes=given["leaves"],
            min_samples_leaf=given["minRowsPerLeaf"],
            max_bins=given["maxBins"],
            # By default it stops on a random tenth of the rows, which in a panel leaks.
            early_stopping=False,
            random_state=context.seed,
            verbose=2,
        )
        # The library cannot bin a column without any value; a constant one is never split on either.
        empty = np.isnan(x).all(axis=0)
        if empty.any():
            x = np.where(empty, np.float32(0), x)
        with contextlib.redirect_stdout(_Report(context.progress)):
            model.fit(x, y)
        model.verbose = 0
        return model

    def margin(self, fitted: HistGradientBoostingClassifier, x: Floats, threads: int) -> Doubles:  # noqa: ARG002
        return np.asarray(fitted.decision_function(x), dtype=np.float64)

    def trees(self, fitted: HistGradientBoostingClassifier) -> int:
        return int(fitted.n_iter_)

    def save(self, fitted: HistGradientBoostingClassifier) -> bytes:
        return dump_estimator(fitted)

    def load(self, data: bytes) -> HistGradientBoostingClassifier:
        return load_estimator(data)


MODEL = HistGradientBoosting()
