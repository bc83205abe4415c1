"""LightGBM: leaf-wise boosted trees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._base import Doubles, FitContext, Floats, Model, Real, Whole

if TYPE_CHECKING:
    import lightgbm as lgb
    from lightgbm.callback import CallbackEnv


class LightGbm(Model["lgb.Booster"]):
    id = "lightgbm"
    order = 1
    space = "logOdds"
    inputs = "native"
    explained_by = "tree"
    modules = ("lightgbm",)
    declared = {
        "trees": Whole(150, 1, 5000),
        "learningRate": Real(0.05, 1e-4, 1),
        "leaves": Whole(31, 2, 1024),
        "minRowsPerLeaf": Whole(100, 1, 1_000_000),
        "maxBins": Whole(63, 2, 255),
    }

    @property
    def library(self) -> str:
        import lightgbm as lgb

        return f"lightgbm {lgb.__version__}"

    def fit(self, x: Floats, y: Floats, context: FitContext) -> lgb.Booster:
        import lightgbm as lgb

        given = context.parameters
        parameters = {
            "objective": "binary",
            "num_leaves": given["leaves"],
            "learning_rate": given["learningRate"],
            "min_data_in_leaf": given["minRowsPerLeaf"],
            "max_bin": given["maxBins"],
            "num_threads": context.threads,
            "seed": context.seed,
            # Histograms per column: the sum of a bin does not depend on how threads share the rows.
            "deterministic": True,
            "force_col_wise": True,
            "verbosity": -1,
        }

        def report(environment: CallbackEnv) -> None:
            context.progress("fit", environment.iteration + 1, given["trees"])

        context.progress("bin", 0, 1)
        data = lgb.Dataset(x, y, params=parameters).construct()
        return lgb.train(parameters, data, given["trees"], callbacks=[report])

    def margin(self, fitted: lgb.Booster, x: Floats, threads: int) -> Doubles:
        return np.asarray(fitted.predict(x, raw_score=True, num_threads=threads), dtype=np.float64)

    def trees(self, fitted: lgb.Booster) -> int:
        return int(fitted.num_trees())

    def save(self, fitted: lgb.Booster) -> bytes:
        return fitted.model_to_string().encode()

    def load(self, data: bytes) -> lgb.Booster:
        import lightgbm as lgb

        return lgb.Booster(model_str=data.decode())


MODEL = LightGbm()
