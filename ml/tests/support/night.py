"""All fits of a small night, through the jobs that the pool processes run."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from nightshift_ml.artifacts import ArtifactStore
from nightshift_ml.jobs import JobContext, run_job
from nightshift_ml.models import registry

from .market import Built, Market, build_market

SEED = 20_180_207

#: Small models, as the tiny universe has them.
PARAMETERS: dict[str, dict[str, Any]] = {
    "lightgbm": {"trees": 12, "leaves": 7, "minRowsPerLeaf": 20},
    "xgboost": {"trees": 12, "depth": 3, "minRowsPerLeaf": 20},
    "catboost": {"trees": 12, "depth": 3},
    "histGradientBoosting": {"trees": 12, "leaves": 7, "minRowsPerLeaf": 20},
    "randomForest": {"trees": 15, "depth": 4, "rowsPerTree": 1000, "minRowsPerLeaf": 20},
    "extraTrees": {"trees": 15, "depth": 4, "rowsPerTree": 1000, "minRowsPerLeaf": 20},
    "logisticRegression": {"maxIterations": 50},
    "mlp": {"hiddenLayers": [8], "epochs": 4, "learningRate": 0.01, "batchRows": 64},
}
MODEL_IDS = list(PARAMETERS)


def fit_input(dataset_hash: str, model: str, **over: Any) -> dict[str, Any]:
    """Wire input of fitFinal; with `blockIndex` of fitFold."""
    return {
        "datasetHash": dataset_hash,
        "model": model,
        "parameters": PARAMETERS[model],
        "seed": SEED,
        "threads": 2,
        "device": "cpu",
        **over,
    }


def table(store: ArtifactStore, name: str) -> pl.DataFrame:
    """A Parquet object."""
    return pl.read_parquet(io.BytesIO(store.get(name)))


@dataclass
class Night:
    """Results of every activity, by wire name."""

    store: ArtifactStore
    context: JobContext
    built: Built
    dataset_hash: str
    folds: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    finals: dict[str, dict[str, Any]] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)
    scores: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def run(cls, store: ArtifactStore, market: Market) -> Night:
        """Fits, stacks and scores."""
        assert list(registry()) == MODEL_IDS
        built = build_market(market)
        night = cls(store, JobContext(store), built, built.write(store))
        for model in MODEL_IDS:
            for block in range(market.blocks):
                given = fit_input(night.dataset_hash, model, blockIndex=block)
                night.folds[model, block] = run_job("fitFold", given, night.context)
            night.finals[model] = run_job("fitFinal", fit_input(night.dataset_hash, model), night.context)
        night.meta = run_job("fitMeta", night.meta_input(), night.context)
        night.scores = run_job("score", night.score_input(), night.context)
        return night

    def meta_input(self, **over: Any) -> dict[str, Any]:
        """Wire input of fitMeta."""
        return {
            "datasetHash": self.dataset_hash,
            "folds": [
                {"model": model, "blockIndex": block, "predictionsHash": fit["predictionsHash"]}
                for (model, block), fit in self.folds.items()
            ],
            "seed": SEED,
            "threads": 2,
            "parameters": {"ridgeC": 1},
            **over,
        }

    def score_input(self, **over: Any) -> dict[str, Any]:
        """Wire input of score."""
        return {
            "datasetHash": self.dataset_hash,
            "models": [{"model": model, "modelHash": fit["modelHash"]} for model, fit in self.finals.items()],
            "metaHash": self.meta["metaHash"],
            **over,
        }
