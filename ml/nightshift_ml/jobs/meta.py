"""fitMeta: joins the folds' predictions to one out-of-fold table and fits the stack on it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from ..contracts import FitMetaInput, FitMetaOutput
from ..dataset import Block, Dataset, Doubles, Ints, assert_final
from ..errors import DataDefect, InvalidInput
from ..frames import read_table, rounded, write_table
from ..hashing import code_hash, lock_hash
from ..meta import FIRST_META_BLOCK, Meta, Span, Stack, leak_suspects, logit
from ..meta import fit_meta as fit_stack
from ..models import registry
from ..models._base import Real, sigmoid
from ._context import JobContext

#: ridgeC: inverse strength of the ridge on standardised logits (mean log loss + |w|²/(2C)).
#: leakAuc: out-of-fold AUC from which a base model is named as a leak suspect.
_DECLARED = {"ridgeC": Real(1.0, 1e-6, 1e6), "leakAuc": Real(0.60, 0.5, 1.0)}


def fit_meta(given: FitMetaInput, context: JobContext) -> FitMetaOutput:
    """Out-of-fold table, a meta for each block from the third on, and the production meta of all blocks."""
    parameters = _parameters(given.parameters)
    context.progress("load", 0, 1)
    dataset = context.datasets.get(given.dataset_hash)
    models, hashes = _grid(given, dataset)
    blocks = [dataset.block(index) for index in range(len(dataset.manifest.blocks))]
    base = _BaseRows(dataset, blocks)
    p = np.column_stack([base.column(model, hashes[model], context) for model in models])
    stack = base.stack(logit(p))

    meta_margin = np.full(len(p), np.nan)
    meta_p = np.full(len(p), np.nan)
    per_block: list[dict[str, Any]] = []
    with_meta = range(FIRST_META_BLOCK, len(blocks))
    for index in with_meta:
        context.progress("meta", index - FIRST_META_BLOCK, len(with_meta) + 1)
        before = blocks[index].first_test_session_index
        fitted = fit_stack(stack, list(range(index)), parameters["ridgeC"], before)
        rows = base.block == index
        meta_margin[rows] = fitted.ridge.margin(stack.z[rows])
        meta_p[rows] = fitted.probability(meta_margin[rows], base.rates[index])
        per_block.append({"blockIndex": index, **_describe(fitted, models)})
    production = fit_stack(stack, list(range(len(blocks))), parameters["ridgeC"], None)
    final = dataset.manifest.final_train
    assert_final(dataset.manifest)
    base_rate = dataset.base_rate(final.first_session_index, final.last_session_index)

    columns: dict[str, Any] = base.columns()
    columns |= {f"p_{model}": p[:, k] for k, model in enumerate(models)}
    columns |= {
        "p_meanLogit": rounded(sigmoid(stack.z.mean(axis=1))),
        "p_meta": rounded(meta_p),
        "metaLogit": rounded(meta_margin),
    }
    oof_hash = context.store.put(write_table(columns, {"kind": "outOfFold", "models": models}))
    meta = {
        "schemaVersion": 1,
        "models": models,
        "baseRate": base_rate,
        **_describe(production, models),
        "blocks": per_block,
        "leakSuspects": leak_suspects(stack, models, parameters["leakAuc"]),
        "parameters": parameters,
        "seed": given.seed,
        "codeHash": code_hash(),
        "lockHash": lock_hash(),
    }
    return FitMetaOutput(
        meta_hash=context.store.put_json(meta),
        oof_hash=oof_hash,
        slope=production.a,
        usable=production.usable,
        base_rate=base_rate,
        rows=len(p),
        blocks_with_meta=len(with_meta),
    )


def _describe(meta: Meta, models: list[str]) -> dict[str, Any]:
    return {
        "coefficients": dict(zip(models, meta.ridge.weights.tolist(), strict=True)),
        "intercept": meta.ridge.intercept,
        "calibrator": {"a": meta.a, "b": meta.b},
        "slope": meta.a,
        "usable": meta.usable,
        "reason": meta.reason,
        "rows": meta.rows,
    }


def _parameters(given: Mapping[str, int | float]) -> dict[str, float]:
    for key in given:
        if key not in _DECLARED:
            raise InvalidInput(f"meta: unknown parameter '{key}'; allowed: {', '.join(sorted(_DECLARED))}")
    out = {key: float(given.get(key, declared.default)) for key, declared in _DECLARED.items()}
    for key, declared in _DECLARED.items():
        if not declared.low <= out[key] <= declared.high:
            raise InvalidInput(
                f"parameter 'meta.{key}' must be {declared.low} to {declared.high}, not {out[key]}"
            )
    return out


def _grid(given: FitMetaInput, dataset: Dataset) -> tuple[list[str], dict[str, dict[int, str]]]:
    """Models in report order, predictions by model and block. Raises InvalidInput for a hole in the grid."""
    hashes: dict[str, dict[int, str]] = {}
    for fold in given.folds:
        of_model = hashes.setdefault(fold.model, {})
        if fold.block_index in of_model:
            raise InvalidInput(f"folds: {fold.model} block {fold.block_index} is given twice")
        of_model[fold.block_index] = fold.predictions_hash
    order = list(registry())
    unknown = [model for model in hashes if model not in order]
    if unknown:
        raise InvalidInput(f"folds: unknown models {unknown}; known: {order}")
    wanted = set(range(len(dataset.manifest.blocks)))
    for model, of_model in hashes.items():
        if set(of_model) != wanted:
            raise InvalidInput(
                f"folds: {model} has blocks {sorted(of_model)}, the dataset has {sorted(wanted)}"
            )
    return [model for model in order if model in hashes], hashes


class _BaseRows:
    """The rows of all test blocks, in order, and what belongs to them besides the predictions."""

    def __init__(self, dataset: Dataset, blocks: list[Block]) -> None:
        self._dataset = dataset
        self._blocks = blocks
        cuts = [dataset.test_rows(block) for block in blocks]
        for left, right in pairwise(cuts):
            if right.start < left.stop:
                raise DataDefect("test sessions of two blocks overlap")
        self._rows = np.concatenate([np.arange(cut.start, cut.stop) for cut in cuts])
        self.block: Ints = np.concatenate(
            [
                np.full(cut.stop - cut.start, block.index, dtype=np.int32)
                for cut, block in zip(cuts, blocks, strict=True)
            ]
        )
        self.rates = [
            dataset.base_rate(block.train_first_session_index, block.train_last_session_index)
            for block in blocks
        ]

    def column(self, model: str, hashes: dict[int, str], context: JobContext) -> Doubles:
        """Stored probabilities of one model; rows and training window must be those of this dataset."""
        parts: list[Doubles] = []
        for block in self._blocks:
            what = f"predictions of {model}, block {block.index}"
            frame, about = read_table(
                context.store.get(hashes[block.index]), what, ["sessionIndex", "symbolIndex", "probability"]
            )
            self._check_provenance(what, about, model, block)
            rows = self._rows[self.block == block.index]
            same = np.array_equal(
                frame["sessionIndex"], self._dataset.session_index[rows]
            ) and np.array_equal(frame["symbolIndex"], self._dataset.symbol_index[rows])
            if not same:
                raise DataDefect(f"{what}: rows are not those of the dataset's test sessions")
            parts.append(np.asarray(frame["probability"], dtype=np.float64))
        return np.concatenate(parts)

    def _check_provenance(self, what: str, about: dict[str, Any], model: str, block: Block) -> None:
        if about.get("model") != model or about.get("blockIndex") != block.index:
            raise DataDefect(f"{what}: the table is of {about.get('model')}, block {about.get('blockIndex')}")
        manifest = self._dataset.manifest
        last = about.get("trainLastSession")
        position = {date: index for index, date in enumerate(manifest.sessions)}.get(str(last))
        gap = manifest.horizon_sessions + manifest.embargo_sessions
        if position is None or position + gap > block.first_test_session_index - 1:
            raise DataDefect(
                f"{what}: trained through {last}, which with its labels and the embargo reaches into the "
                f"test sessions from {manifest.sessions[block.first_test_session_index]} on"
            )

    def stack(self, z: Doubles) -> Stack:
        """The stack's input."""
        manifest = self._dataset.manifest
        return Stack(
            z,
            self._dataset.target[self._rows],
            self.block,
            self._dataset.session_index[self._rows],
            tuple(Span(b.first_test_session_index, b.last_test_session_index) for b in self._blocks),
            manifest.horizon_sessions,
            manifest.embargo_sessions,
        )

    def columns(self) -> dict[str, Any]:
        """Identity, outcome and naive baselines of each row."""
        data, rows = self._dataset, self._rows
        rate = np.asarray(self.rates)[self.block]
        majority = (rate >= 0.5).astype(np.float64)
        yesterday = self._newest_label()
        return {
            "sessionIndex": data.session_index[rows],
            "symbolIndex": data.symbol_index[rows],
            "blockIndex": self.block,
            "target": data.target[rows],
            "forwardReturn": data.forward_return[rows],
            "excessReturn": data.excess_return[rows],
            "baseRate": rate,
            "majorityClass": majority,
            "yesterdaySign": np.where(np.isnan(yesterday), majority, yesterday),
        }

    def _newest_label(self) -> Doubles:
        """The symbol's newest label known at the close of the row's session: that of session s - h."""
        data = self._dataset
        sessions, symbols = len(data.manifest.sessions), len(data.manifest.symbols)
        known = np.full((sessions, symbols), np.nan)
        known[data.session_index, data.symbol_index] = data.target
        earlier = data.session_index[self._rows] - data.manifest.horizon_sessions
        values: Doubles = known[np.maximum(earlier, 0), data.symbol_index[self._rows]]
        return np.where(earlier >= 0, values, np.nan)
