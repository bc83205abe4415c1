"""fitFold and fitFinal: fitted once per key, read by everyone else who asks."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..artifacts import ArtifactCorrupt
from ..contracts import FitFinalInput, FitFinalOutput, FitFoldInput, FitFoldOutput
from ..dataset import Block, Dataset, TestRows, TrainingRows
from ..device import require_device
from ..fitted import FittedModel, fit_model
from ..frames import checked_probabilities, write_table
from ..hashing import code_hash, hash_arrays, key_of, lock_hash, platform_id
from ..models import get_model
from ..models._base import FitContext
from ._context import JobContext, thread_limits

#: Newest training rows a final model is tried on, besides the rows it is there for.
TRIAL_ROWS = 1_000


@dataclass(frozen=True)
class Fit:
    """A fit that was made or found; `fitted` only where this process has it at hand."""

    key: str
    record: dict[str, Any]
    reused: bool
    fitted: FittedModel | None


def fit_fold(given: FitFoldInput, context: JobContext) -> FitFoldOutput:
    """Fits (or finds) the model of one walk-forward block and predicts the block's test rows."""
    get_model(given.model).resolve(given.parameters)
    require_device(given.device)
    context.progress("load", 0, 1)
    dataset = context.datasets.get(given.dataset_hash)
    block = dataset.block(given.block_index)
    train = dataset.fold_rows(block)
    fit = _obtain("folds", given, train, dataset, context)

    rows = dataset.test_rows(block)
    about = provenance(dataset, block, given.model, fit.record["modelHash"])
    key = key_of(modelHash=fit.record["modelHash"], testRowsHash=_test_hash(dataset, rows, about))
    known = context.store.get_ref("foldPredictions", key)
    if known is not None and context.store.has(known["predictionsHash"]):
        predictions_hash, reused = known["predictionsHash"], True
    else:
        fit, fitted = _loaded("folds", fit, given, train, dataset, context)
        predictions_hash, reused = _predict(fitted, dataset, rows, about, given.threads, context), False
        context.store.put_ref("foldPredictions", key, {"predictionsHash": predictions_hash})
    return FitFoldOutput(
        fold_key=fit.key,
        model_hash=fit.record["modelHash"],
        predictions_hash=predictions_hash,
        fit_reused=fit.reused,
        predictions_reused=reused,
        train_rows=fit.record["trainRows"],
        test_rows=rows.stop - rows.start,
        trees=fit.record["trees"],
        fit_seconds=fit.record["fitSeconds"],
        cpu_seconds=fit.record["cpuSeconds"],
    )


def fit_final(given: FitFinalInput, context: JobContext) -> FitFinalOutput:
    """Fits (or finds) the model used at night S: all rows whose label is known by the close of S."""
    get_model(given.model).resolve(given.parameters)
    require_device(given.device)
    context.progress("load", 0, 1)
    dataset = context.datasets.get(given.dataset_hash)
    train = dataset.final_rows()
    fit = _obtain("finals", given, train, dataset, context)
    fit, fitted = _loaded("finals", fit, given, train, dataset, context)
    return FitFinalOutput(
        fit_key=fit.key,
        model_hash=fit.record["modelHash"],
        fit_reused=fit.reused,
        train_rows=fit.record["trainRows"],
        trees=fit.record["trees"],
        finite=_is_finite(fitted, dataset, train, given.threads, context),
        fit_seconds=fit.record["fitSeconds"],
        cpu_seconds=fit.record["cpuSeconds"],
    )


def _is_finite(
    fitted: FittedModel, dataset: Dataset, train: TrainingRows, threads: int, context: JobContext
) -> bool:
    """Whether the model's output is finite on its newest training rows and on every row of session S.

    Nothing else of a night predicts with a final model before it is promoted: folds are other fits.
    """
    context.progress("predict", 0, 1)
    with thread_limits(threads):
        return all(
            bool(np.isfinite(fitted.margin(rows, threads)).all())
            for rows in (train.x[-TRIAL_ROWS:], dataset.score_rows().x)
        )


def provenance(dataset: Dataset, block: Block, model: str, model_hash: str) -> dict[str, Any]:
    """What a fold's predictions say of themselves; fitMeta checks it against the dataset it is given."""
    sessions = dataset.manifest.sessions
    return {
        "model": model,
        "modelHash": model_hash,
        "blockIndex": block.index,
        "trainFirstSession": sessions[block.train_first_session_index],
        "trainLastSession": sessions[block.train_last_session_index],
        "testFirstSession": sessions[block.first_test_session_index],
        "testLastSession": sessions[block.last_test_session_index],
        "horizonSessions": dataset.manifest.horizon_sessions,
        "embargoSessions": dataset.manifest.embargo_sessions,
    }


def _obtain(
    kind: str, given: FitFinalInput, train: TrainingRows, dataset: Dataset, context: JobContext
) -> Fit:
    model = get_model(given.model)
    parameters = model.resolve(given.parameters)
    key = key_of(
        kind=kind,
        trainRowsHash=dataset.rows_hash(train),
        model=given.model,
        parameters=parameters,
        seed=given.seed,
        threads=given.threads,
        device=given.device,
        codeHash=code_hash(),
        lockHash=lock_hash(),
        platform=platform_id(),
    )
    known = context.store.get_ref(kind, key)
    if known is not None and context.store.has(known["modelHash"]):
        return Fit(key, known, True, None)

    context.load_library(given.model)
    wall, cpu = time.perf_counter(), time.process_time()
    fit_context = FitContext(parameters, given.seed, given.threads, given.device, context.progress)
    with thread_limits(given.threads):
        fitted = fit_model(model, train, dataset.manifest.features, fit_context)
    seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
    context.progress("store", 0, 1)
    model_hash = context.store.put(fitted.to_bytes())
    record = {
        "modelHash": model_hash,
        "model": given.model,
        "trainRows": len(train.y),
        "trees": fitted.trees,
        "fitSeconds": round(seconds, 3),
        "cpuSeconds": round(cpu_seconds, 3),
    }
    # The ref comes last: a process killed before it leaves an object that nobody names, never half a fit.
    context.store.put_ref(kind, key, record)
    context.keep(model_hash, fitted)
    return Fit(key, record, False, fitted)


def _loaded(
    kind: str, fit: Fit, given: FitFinalInput, train: TrainingRows, dataset: Dataset, context: JobContext
) -> tuple[Fit, FittedModel]:
    """The fit with its model at hand."""
    if fit.fitted is not None:
        return fit, fit.fitted
    try:
        return fit, context.model(fit.record["modelHash"])
    except ArtifactCorrupt:
        # A damaged copy would fail every later night: fit again, the same bytes come out.
        context.store.delete(fit.record["modelHash"])
        fit = _obtain(kind, given, train, dataset, context)
        return fit, fit.fitted or context.model(fit.record["modelHash"])


def _test_hash(dataset: Dataset, rows: TestRows, about: dict[str, Any]) -> str:
    cut = slice(rows.start, rows.stop)
    return hash_arrays(
        {"kind": "testRows", "code": code_hash(), **about},
        (rows.x, dataset.session_index[cut], dataset.symbol_index[cut]),
    )


def _predict(
    fitted: FittedModel,
    dataset: Dataset,
    rows: TestRows,
    about: dict[str, Any],
    threads: int,
    context: JobContext,
) -> str:
    context.progress("predict", 0, 1)
    with thread_limits(threads):
        probability = fitted.probability(rows.x, threads)
    cut = slice(rows.start, rows.stop)
    columns: dict[str, Any] = {
        "sessionIndex": dataset.session_index[cut],
        "symbolIndex": dataset.symbol_index[cut],
        "probability": checked_probabilities(probability, f"{fitted.model.id}, block {about['blockIndex']}"),
    }
    return context.store.put(write_table(columns, about))
