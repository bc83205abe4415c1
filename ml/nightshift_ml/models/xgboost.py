"""XGBoost: depth-wise boosted trees on histograms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DeviceUnavailable
from ._base import Doubles, FitContext, Floats, Model, Progress, Real, Whole

if TYPE_CHECKING:
    import xgboost as xgb


def _report(progress: Progress, trees: int) -> xgb.callback.TrainingCallback:
    from xgboost.callback import TrainingCallback

    class Report(TrainingCallback):
        def after_iteration(self, model: xgb.Booster, epoch: int, evals_log: Mapping[str, object]) -> bool:  # noqa: ARG002
            progress("fit", epoch + 1, trees)
            return False

    return Report()


class XgBoost(Model["xgb.Booster"]):
    id = "xgboost"
    order = 2
    space = "logOdds"
    inputs = "native"
    explained_by = "tree"
    modules = ("xgboost",)
    declared = {
        "trees": Whole(150, 1, 5000),
        "learningRate": Real(0.05, 1e-4, 1),
        "depth": Whole(5, 1, 16),
        "minRowsPerLeaf": Whole(100, 1, 1_000_000),
        "maxBins": Whole(64, 2, 256),
    }

    @property
    def library(self) -> str:
        import xgboost as xgb

        return f"xgboost {xgb.__version__}"

    def fit(self, x: Floats, y: Floats, context: FitContext) -> xgb.Booster:
        import xgboost as xgb

        given = context.parameters
        if context.device == "cuda" and not xgb.build_info().get("USE_CUDA"):
            raise DeviceUnavailable("this xgboost is built without CUDA (package xgboost-cpu)")
        parameters = {
            "objective": "binary:logistic",
            "tree_method": "hist",
            "max_depth": given["depth"],
            "learning_rate": given["learningRate"],
            # A leaf's weight is the sum of p(1-p), a quarter a row near p = 0.5.
            "min_child_weight": given["minRowsPerLeaf"] / 4,
            "max_bin": given["maxBins"],
            "nthread": context.threads,
            "seed": context.seed,
            "device": context.device,
            "verbosity": 0,
        }
        context.progress("bin", 0, 1)
        data = xgb.QuantileDMatrix(x, y, max_bin=given["maxBins"], nthread=context.threads)
        report = _report(context.progress, given["trees"])
        return xgb.train(parameters, data, given["trees"], callbacks=[report], verbose_eval=False)

    def margin(self, fitted: xgb.Booster, x: Floats, threads: int) -> Doubles:
        fitted.set_param({"nthread": threads, "device": "cpu"})
        return np.asarray(fitted.inplace_predict(x, predict_type="margin"), dtype=np.float64)

    def trees(self, fitted: xgb.Booster) -> int:
        return int(fitted.num_boosted_rounds())

    def save(self, fitted: xgb.Booster) -> bytes:
        return bytes(fitted.save_raw(raw_format="ubj"))

    def load(self, data: bytes) -> xgb.Booster:
        import xgboost as xgb

        booster = xgb.Booster()
        booster.load_model(bytearray(data))
        return booster


MODEL = XgBoost()
