"""score: predictions of all models and of the stack for session S."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..contracts import ModelRef, ScoreInput, ScoreOutput
from ..dataset import Dataset, Doubles, Floats
from ..errors import DataDefect, InvalidInput
from ..fitted import FittedModel
from ..frames import checked_probabilities, rounded, write_table
from ..meta import Meta, Ridge, logit
from ..models._base import sigmoid
from ._context import JobContext, thread_limits

#: Threads of predictions; their results do not depend on it.
PREDICT_THREADS = 2


@dataclass(frozen=True)
class Ensemble:
    """The models and the meta that belong together, in the meta's order."""

    models: dict[str, FittedModel]
    meta: Meta
    base_rate: float

    @classmethod
    def load(cls, refs: list[ModelRef], meta_hash: str, dataset: Dataset, context: JobContext) -> Ensemble:
        """Reads meta and models. Raises InvalidInput when they do not fit each other or the dataset."""
        meta = context.store.get_json(meta_hash)
        if not isinstance(meta, dict) or "calibrator" not in meta:
            raise DataDefect(f"{meta_hash} is not a meta artifact")
        given = {ref.model: ref.model_hash for ref in refs}
        if len(given) != len(refs) or set(given) != set(meta["models"]):
            raise InvalidInput(
                f"models {[ref.model for ref in refs]} are not those of the meta, {meta['models']}"
            )
        models: dict[str, FittedModel] = {}
        for done, name in enumerate(meta["models"]):
            context.progress("load", done, len(given))
            models[name] = context.model(given[name])
            models[name].require(name, dataset.manifest.features)
        weights = np.array([meta["coefficients"][name] for name in models])
        a, b = meta["calibrator"]["a"], meta["calibrator"]["b"]
        fitted = Meta(Ridge(weights, meta["intercept"]), a, b, meta["usable"], meta["reason"], meta["rows"])
        return cls(models, fitted, meta["baseRate"])

    def probabilities(self, x: Floats) -> Doubles:
        """Base probabilities float64 [n, models]."""
        with thread_limits(PREDICT_THREADS):
            return np.column_stack([model.probability(x, PREDICT_THREADS) for model in self.models.values()])

    def background(self) -> Floats:
        """Training rows stored with the version. Raises DataDefect where its models hold different ones."""
        first, *others = (model.background for model in self.models.values())
        if any(not np.array_equal(first, other, equal_nan=True) for other in others):
            raise DataDefect("the models of this version were not fitted on the same training rows")
        return first

    def margin(self, x: Floats) -> Doubles:
        """The stack's log-odds before calibration, straight from raw features."""
        return self.meta.ridge.margin(logit(self.probabilities(x)))


def score(given: ScoreInput, context: JobContext) -> ScoreOutput:
    """Scores every row of session S; stored values are rounded to 1e-9."""
    context.progress("load", 0, 1)
    dataset = context.datasets.get(given.dataset_hash)
    ensemble = Ensemble.load(given.models, given.meta_hash, dataset, context)
    rows = dataset.score_rows()
    context.progress("predict", 0, 1)
    p = checked_probabilities(ensemble.probabilities(rows.x), "score")
    z = logit(p)
    margin = ensemble.meta.ridge.margin(z)
    columns: dict[str, Any] = {"symbolIndex": dataset.symbol_index[rows.start : rows.stop]}
    columns |= {f"p_{name}": p[:, k] for k, name in enumerate(ensemble.models)}
    columns |= {
        "p_meanLogit": rounded(sigmoid(z.mean(axis=1))),
        "p_meta": checked_probabilities(ensemble.meta.probability(margin, ensemble.base_rate), "score, meta"),
        "metaLogit": rounded(margin),
        "baseRate": np.full(len(p), ensemble.base_rate),
    }
    about = {"kind": "scores", "session": dataset.manifest.session_date, "metaHash": given.meta_hash}
    return ScoreOutput(predictions_hash=context.store.put(write_table(columns, about)), rows=len(p))
