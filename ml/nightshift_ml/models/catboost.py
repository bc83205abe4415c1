"""CatBoost: symmetric boosted trees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ._base import Doubles, FitContext, Floats, Model, Progress, Real, Whole

if TYPE_CHECKING:
    import catboost as cb

#: Entries of the model file that differ between identical fits.
_VOLATILE = ("model_guid", "train_finish_time")


class _Report:
    def __init__(self, progress: Progress, trees: int) -> None:
        self._progress = progress
        self._trees = trees

    def after_iteration(self, info: Any) -> bool:
        self._progress("fit", int(info.iteration), self._trees)
        return True


class CatBoost(Model["cb.CatBoost"]):
    id = "catboost"
    order = 3
    space = "logOdds"
    inputs = "native"
    explained_by = "tree"
    modules = ("catboost",)
    declared = {
        "trees": Whole(150, 1, 5000),
        "learningRate": Real(0.05, 1e-4, 1),
        "depth": Whole(6, 1, 12),
        "maxBins": Whole(64, 2, 255),
    }

    @property
    def library(self) -> str:
        import catboost as cb

        return f"catboost {cb.__version__}"

    def fit(self, x: Floats, y: Floats, context: FitContext) -> cb.CatBoost:
        import catboost as cb

        given = context.parameters
        model = cb.CatBoost(
            {
                "loss_function": "Logloss",
                "iterations": given["trees"],
                "learning_rate": given["learningRate"],
                "depth": given["depth"],
                "border_count": given["maxBins"] - 1,
                "boosting_type": "Plain",
                # One Newton step a tree, as the other boosters do; the default of ten doubles the time.
                "leaf_estimation_iterations": 1,
                "random_seed": context.seed,
                "thread_count": context.threads,
                "task_type": "GPU" if context.device == "cuda" else "CPU",
                "allow_writing_files": False,
                "logging_level": "Silent",
            }
        )
        context.progress("bin", 0, 1)
        pool = cb.Pool(x, y, thread_count=context.threads)
        # The GPU version knows no callbacks.
        report = None if context.device == "cuda" else [_Report(context.progress, given["trees"])]
        model.fit(pool, callbacks=report)
        return model

    def margin(self, fitted: cb.CatBoost, x: Floats, threads: int) -> Doubles:
        raw = fitted.predict(x, prediction_type="RawFormulaVal", thread_count=threads)
        return np.asarray(raw, dtype=np.float64)

    def trees(self, fitted: cb.CatBoost) -> int:
        return int(fitted.tree_count_)

    def save(self, fitted: cb.CatBoost) -> bytes:
        metadata = fitted.get_metadata()
        for key in _VOLATILE:
            metadata[key] = ""
        return bytes(fitted._serialize_model())

    def load(self, data: bytes) -> cb.CatBoost:
        import catboost as cb

        model = cb.CatBoost()
        model.load_model(blob=data)
        return model


MODEL = CatBoost()
