"""explainModel and explainSignals: SHAP of one model, and reasons of issued signals."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import numpy.typing as npt

from ..contracts import (
    ExplainModelInput,
    ExplainModelOutput,
    ExplainSignalsInput,
    ExplainSignalsOutput,
)
from ..dataset import Block, Dataset, Doubles
from ..device import require_device
from ..errors import InvalidInput
from ..explain import Explained, explain_fitted, explain_function
from ._context import JobContext, thread_limits
from .score import Ensemble

#: Rows a model is explained on.
SAMPLE_ROWS = 100


def explain_model(given: ExplainModelInput, context: JobContext) -> ExplainModelOutput:
    """SHAP on 100 rows of an out-of-sample block, drawn by the seed and stratified by session."""
    require_device(given.device)
    started = time.perf_counter()
    context.progress("load", 0, 1)
    dataset = context.datasets.get(given.dataset_hash)
    fitted = context.model(given.model_hash)
    fitted.require(given.model, dataset.manifest.features)
    rows = sample_rows(dataset, dataset.block(given.block_index), given.seed)
    context.progress("explain", 0, len(rows))
    with thread_limits(given.threads):
        explained = explain_fitted(
            fitted, dataset.x[rows], seed=given.seed, threads=given.threads, progress=context.progress
        )
    document = {
        "schemaVersion": 1,
        "model": given.model,
        "modelHash": given.model_hash,
        "blockIndex": given.block_index,
        "seed": given.seed,
        "space": fitted.model.space,
        "baseValue": float(explained.base.mean()),
        "additivityMaxError": explained.max_error,
        "additive": explained.additive,
        "rows": [_row_id(dataset, int(row)) for row in rows],
        **_rankings(explained, dataset.manifest.features),
    }
    return ExplainModelOutput(
        shap_hash=context.store.put_json(document),
        additivity_max_error=explained.max_error,
        additive=explained.additive,
        space=fitted.model.space,
        seconds=round(time.perf_counter() - started, 3),
    )


def explain_signals(given: ExplainSignalsInput, context: JobContext) -> ExplainSignalsOutput:
    """Permutation SHAP of the whole stack's pre-calibration log-odds, for the given symbols of session S.

    The background is the one stored with the version: its base value does not move from night to night.
    """
    started = time.perf_counter()
    context.progress("load", 0, 1)
    dataset = context.datasets.get(given.dataset_hash)
    ensemble = Ensemble.load(given.models, given.meta_hash, dataset, context)
    rows = _signal_rows(dataset, given.symbol_indexes)
    background = ensemble.background()
    x = dataset.x[rows]
    explained = explain_function(ensemble.margin, background, x, seed=given.seed, progress=context.progress)
    features = dataset.manifest.features
    symbols: dict[str, Any] = {}
    for k, symbol in enumerate(given.symbol_indexes):
        top = np.argsort(-np.abs(explained.values[k]), kind="stable")[:10]
        symbols[str(symbol)] = {
            "baseValue": float(explained.base[k]),
            "value": float(explained.output[k]),
            "contributions": [
                {
                    "feature": features[j],
                    "value": None if np.isnan(x[k, j]) else float(x[k, j]),
                    "shap": float(explained.values[k, j]),
                }
                for j in top
            ],
        }
    document = {
        "schemaVersion": 1,
        "session": dataset.manifest.session_date,
        "metaHash": given.meta_hash,
        "seed": given.seed,
        "space": "logOdds",
        "additivityMaxError": explained.max_error,
        "additive": explained.additive,
        "symbols": symbols,
    }
    return ExplainSignalsOutput(
        reasons_hash=context.store.put_json(document),
        rows=len(rows),
        seconds=round(time.perf_counter() - started, 3),
    )


def sample_rows(dataset: Dataset, block: Block, seed: int) -> npt.NDArray[np.int64]:
    """Up to 100 rows of the block, as even over its sessions as can be, in table order."""
    test = dataset.test_rows(block)
    rows = np.arange(test.start, test.stop)
    random = np.random.default_rng(seed)
    key = random.random(len(rows))
    sessions = dataset.session_index[rows]
    # Position of each row in its own shuffled session: all first ones come before all second ones.
    order = np.lexsort((key, sessions))
    first = np.searchsorted(sessions[order], sessions[order])
    turn = np.empty(len(rows), dtype=np.int64)
    turn[order] = np.arange(len(rows)) - first
    chosen = np.lexsort((random.random(len(rows)), turn))[:SAMPLE_ROWS]
    return np.sort(rows[chosen])


def _row_id(dataset: Dataset, row: int) -> dict[str, Any]:
    session, symbol = int(dataset.session_index[row]), int(dataset.symbol_index[row])
    return {
        "sessionIndex": session,
        "symbolIndex": symbol,
        "session": dataset.manifest.sessions[session],
        "symbol": dataset.manifest.symbols[symbol],
    }


def _rankings(explained: Explained, features: list[str]) -> dict[str, Any]:
    mean: Doubles = explained.values.mean(axis=0)
    absolute: Doubles = np.abs(explained.values).mean(axis=0)
    total = float(absolute.sum())
    order = np.argsort(-absolute, kind="stable")
    return {
        "top10": [
            {"feature": features[j], "meanShap": float(mean[j]), "meanAbsShap": float(absolute[j])}
            for j in order[:10]
        ],
        "top20": [
            {
                "rank": rank + 1,
                "feature": features[j],
                "meanAbsShap": float(absolute[j]),
                "share": float(absolute[j]) / total if total > 0 else 0.0,
            }
            for rank, j in enumerate(order[:20])
        ],
    }


def _signal_rows(dataset: Dataset, symbols: list[int]) -> npt.NDArray[np.int64]:
    score = dataset.score_rows()
    known = dataset.symbol_index[score.start : score.stop]
    position = {int(symbol): score.start + k for k, symbol in enumerate(known)}
    missing = [symbol for symbol in symbols if symbol not in position]
    if missing or len(set(symbols)) != len(symbols):
        raise InvalidInput(f"symbolIndexes: no row in session S (or given twice): {missing or symbols}")
    return np.array([position[symbol] for symbol in symbols])
