"""The stack: it sees out-of-fold predictions of earlier blocks only, and says when it is of no use."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression
from support.market import Market, build_market
from support.night import MODEL_IDS, SEED, Night, fit_input, table

from nightshift_ml.dataset import load_dataset
from nightshift_ml.errors import DataDefect, InvalidInput
from nightshift_ml.frames import read_table, write_table
from nightshift_ml.jobs import JobContext, run_job
from nightshift_ml.meta import (
    Span,
    Stack,
    auc,
    fit_meta,
    fit_ridge,
    fit_sigmoid,
    leak_suspects,
    logit,
    purged_around,
)
from nightshift_ml.models._base import sigmoid

#: Columns of the synthetic stack.
BASES = [f"base{k}" for k in range(8)]


def synthetic(
    *,
    blocks: int = 5,
    sessions: int = 40,
    symbols: int = 30,
    edge: float = 0.15,
    horizon: int = 1,
    seed: int = 3,
) -> Stack:
    """Eight noisy views of one weak signal; blocks lie next to each other."""
    random = np.random.default_rng(seed)
    rows = blocks * sessions * symbols
    session = np.repeat(np.arange(blocks * sessions), symbols).astype(np.int32) + 500
    signal = random.standard_normal(rows)
    y = (random.random(rows) < 1 / (1 + np.exp(-edge * signal))).astype(np.float64)
    z = 0.1 * signal[:, None] + 0.1 * random.standard_normal((rows, 8))
    spans = tuple(Span(500 + k * sessions, 500 + (k + 1) * sessions - 1) for k in range(blocks))
    block = ((session - 500) // sessions).astype(np.int32)
    return Stack(z, y, block, session, spans, horizon, max(5, horizon))


def blocks_before(stack: Stack, index: int) -> Any:
    return fit_meta(stack, list(range(index)), 1.0, stack.spans[index].first)


def test_ridge_is_the_penalised_logistic() -> None:
    stack = synthetic()
    ridge = fit_ridge(stack.z, stack.y, 0.5)
    standard = (stack.z - stack.z.mean(0)) / stack.z.std(0)
    reference = LogisticRegression(C=0.5 * 1.0 / len(stack.y) * len(stack.y), tol=1e-12, max_iter=10_000)
    # sklearn sums the loss: C of the mean is C / n of the sum.
    reference.set_params(C=0.5 / len(stack.y)).fit(standard, stack.y)
    np.testing.assert_allclose(ridge.weights * stack.z.std(0), reference.coef_[0], atol=1e-7)
    np.testing.assert_allclose(ridge.margin(stack.z), reference.decision_function(standard), atol=1e-7)


def test_sigmoid_finds_slope_and_offset() -> None:
    random = np.random.default_rng(0)
    margin = random.standard_normal(200_000) * 0.3
    y = (random.random(len(margin)) < sigmoid(1.7 * margin - 0.4)).astype(np.float64)
    a, b = fit_sigmoid(margin, y)
    assert abs(a - 1.7) < 0.06
    assert abs(b + 0.4) < 0.02
    assert fit_sigmoid(np.full(100, 0.3), np.r_[np.ones(40), np.zeros(60)])[0] == 0.0


@pytest.mark.parametrize("index", [2, 3, 4])
def test_meta_of_a_block_uses_only_blocks_before_it(index: int) -> None:
    stack = synthetic()
    expected = blocks_before(stack, index)
    later = stack.block >= index
    # Whatever blocks j, j+1, … hold, the meta of block j is the same to the last bit.
    spoiled = replace(
        stack, z=np.where(later[:, None], 9.0, stack.z), y=np.where(later, 1 - stack.y, stack.y)
    )
    assert blocks_before(spoiled, index).a == expected.a
    assert np.array_equal(blocks_before(spoiled, index).ridge.weights, expected.ridge.weights)
    # And it does use all blocks before it.
    for earlier in range(index):
        rows = stack.block == earlier
        other = replace(stack, y=np.where(rows, 1 - stack.y, stack.y))
        assert blocks_before(other, index).ridge.intercept != expected.ridge.intercept


@pytest.mark.parametrize("horizon", [1, 10])
def test_rows_near_the_border_of_a_block_are_purged(horizon: int) -> None:
    stack = synthetic(horizon=horizon)
    gap = horizon + stack.embargo
    first = stack.spans[3].first
    near = (stack.session > first - 1 - gap) & (stack.session < first)
    assert near.sum() == gap * 30
    expected = blocks_before(stack, 3)
    spoiled = replace(stack, y=np.where(near, 1 - stack.y, stack.y))
    assert np.array_equal(blocks_before(spoiled, 3).ridge.weights, expected.ridge.weights)
    assert blocks_before(spoiled, 3).rows == expected.rows

    kept = stack.session[purged_around(stack, 2)]
    span = stack.spans[2]
    for session in np.unique(kept):  # label intervals [s + 1, s + h] of kept rows and of the held block
        ends_before = session + horizon < span.first
        starts_after = session + 1 > span.last + horizon
        assert ends_before or starts_after
        assert not span.first - stack.embargo <= session <= span.last + stack.embargo


def test_calibrator_is_fitted_on_cross_fitted_margins() -> None:
    # No signal at all: in-sample margins fit the noise (slope about 1 and more), cross-fitted ones do not.
    slopes = [
        fit_meta(synthetic(edge=0.0, symbols=10, seed=seed), list(range(5)), 100.0, None).a
        for seed in range(12)
    ]
    assert np.mean(slopes) < 0.3
    in_sample = []
    for seed in range(12):
        stack = synthetic(edge=0.0, symbols=10, seed=seed)
        ridge = fit_ridge(stack.z, stack.y, 100.0)
        in_sample.append(fit_sigmoid(ridge.margin(stack.z), stack.y)[0])
    assert np.mean(in_sample) > 0.9


def test_a_slope_that_is_not_positive_makes_the_meta_unusable() -> None:
    stack = synthetic()
    # Every second block's relation is turned round: what is learned elsewhere is wrong in the held block.
    turned = replace(stack, z=np.where((stack.block % 2 == 0)[:, None], -stack.z, stack.z))
    meta = fit_meta(turned, [0, 1], 1.0, None)
    assert meta.a <= 0
    assert not meta.usable
    assert meta.reason is not None
    assert "not positive" in meta.reason
    assert np.array_equal(meta.probability(np.array([-1.0, 0.0, 2.0]), 0.47), [0.47, 0.47, 0.47])
    good = fit_meta(stack, [0, 1, 2], 1.0, None)
    assert good.usable
    assert (np.diff(good.probability(np.linspace(-1, 1, 5), 0.47)) > 0).all()


def test_one_block_cannot_calibrate() -> None:
    stack = synthetic(blocks=1)
    meta = fit_meta(stack, [0], 1.0, None)
    assert (meta.usable, meta.a) == (False, 0.0)
    assert meta.reason == "no cross-fitted rows to calibrate on"


def test_meta_weights_a_memorizer_by_its_out_of_fold_worth() -> None:
    """A base that memorised its training rows is worthless out of fold, and gets no weight."""
    stack = synthetic(edge=0.3, symbols=60)
    random = np.random.default_rng(9)
    honest = replace(stack, z=stack.z.copy())
    honest.z[:, 0] = random.standard_normal(len(stack.y))  # out of fold the memorizer only guesses
    weights = fit_meta(honest, list(range(5)), 1.0, None).ridge.weights * honest.z.std(0)
    assert abs(weights[0]) < 0.1 * np.abs(weights[1:]).max()
    assert leak_suspects(honest, BASES, 0.6) == []


def test_a_base_that_saw_its_test_block_is_named() -> None:
    stack = synthetic()
    leaky = replace(stack, z=stack.z.copy())
    rows = leaky.block == 3
    leaky.z[rows, 5] = np.where(stack.y[rows] == 1, 2.0, -2.0)  # in-sample: it knows the labels
    suspects = leak_suspects(leaky, BASES, 0.6)
    assert [(s["model"], s["blockIndex"]) for s in suspects] == [("base5", 3)]
    assert suspects[0]["auc"] == 1.0
    # A small block reaches 0.6 by chance: the bound widens with the standard error.
    tiny = synthetic(blocks=3, sessions=10, symbols=8, edge=0.0)
    assert leak_suspects(tiny, BASES, 0.6) == []


def test_auc_counts_ties_half() -> None:
    assert auc(np.array([0.1, 0.2, 0.3]), np.array([0.0, 0.0, 1.0])) == 1.0
    assert auc(np.array([0.5, 0.5, 0.5, 0.5]), np.array([0.0, 1.0, 0.0, 1.0])) == 0.5


# ---- the job, on the night of the eight real models ----


def test_out_of_fold_table(night: Night) -> None:
    out = night.meta
    frame = table(night.store, out["oofHash"])
    identity = ["sessionIndex", "symbolIndex", "blockIndex", "target", "forwardReturn", "excessReturn"]
    baselines = ["baseRate", "majorityClass", "yesterdaySign"]
    stack = ["p_meanLogit", "p_meta", "metaLogit"]
    assert frame.columns == identity + baselines + [f"p_{m}" for m in MODEL_IDS] + stack
    assert out["rows"] == len(frame) == 3 * 40 * 12
    assert out["blocksWithMeta"] == 1
    has_meta = frame["p_meta"].is_not_nan().to_numpy()
    assert np.array_equal(has_meta, (frame["blockIndex"] == 2).to_numpy())
    assert np.array_equal(has_meta, frame["metaLogit"].is_not_nan().to_numpy())
    assert frame.null_count().to_numpy().sum() == 0

    dataset = load_dataset(night.store, night.dataset_hash)
    target = {
        (s, k): t for s, k, t in zip(dataset.session_index, dataset.symbol_index, dataset.target, strict=True)
    }
    for row in frame.sample(60, seed=1).iter_rows(named=True):
        known = target[row["sessionIndex"] - 1, row["symbolIndex"]]
        assert row["yesterdaySign"] == (row["majorityClass"] if np.isnan(known) else known)
        block = dataset.manifest.blocks[row["blockIndex"]]
        window = (dataset.session_index >= block.train_first_session_index) & (
            dataset.session_index <= block.train_last_session_index
        )
        assert row["baseRate"] == pytest.approx(np.nanmean(dataset.target[window]), abs=1e-12)
        logits = [logit(np.array([row[f"p_{m}"]]))[0] for m in MODEL_IDS]
        assert row["p_meanLogit"] == pytest.approx(float(sigmoid(np.array(np.mean(logits)))), abs=2e-9)


def test_labels_of_a_block_never_reach_its_own_meta(night: Night) -> None:
    built = build_market(Market())
    first = built.manifest["blocks"][2]["firstTestSessionIndex"]
    turned = pl.when(pl.col("sessionIndex") >= first).then(1 - pl.col("target")).otherwise(pl.col("target"))
    built.frame = built.frame.with_columns(turned.alias("target"))
    given = night.meta_input(datasetHash=built.write(night.store))
    out = run_job("fitMeta", given, JobContext(night.store))
    before = table(night.store, night.meta["oofHash"])
    after = table(night.store, out["oofHash"])
    assert not before["target"].equals(after["target"])
    for column in ("p_meta", "metaLogit", "baseRate"):
        assert before[column].equals(after[column]), column
    # The production meta, which uses all blocks, does change.
    assert out["slope"] != night.meta["slope"]


def test_meta_artifact(night: Night) -> None:
    meta = night.store.get_json(night.meta["metaHash"])
    assert meta["models"] == MODEL_IDS
    assert set(meta["coefficients"]) == set(MODEL_IDS)
    assert meta["slope"] == meta["calibrator"]["a"] == night.meta["slope"] > 0
    assert meta["usable"] is night.meta["usable"] is True
    assert meta["leakSuspects"] == []
    assert [block["blockIndex"] for block in meta["blocks"]] == [2]
    again = run_job("fitMeta", night.meta_input(), JobContext(night.store))
    assert again == night.meta


def test_a_hole_in_the_grid_is_refused(night: Night) -> None:
    folds = night.meta_input()["folds"]

    def refuse(match: str, **over: Any) -> None:
        with pytest.raises(InvalidInput, match=match):
            run_job("fitMeta", night.meta_input(**over), night.context)

    refuse(rf"{MODEL_IDS[-1]} has blocks \[0, 1\], the dataset has \[0, 1, 2\]", folds=folds[:-1])
    refuse(f"{MODEL_IDS[-1]} block 2 is given twice", folds=[*folds, folds[-1]])
    refuse("unknown models", folds=[{**folds[0], "model": "svm"}, *folds[1:]])
    refuse("meta: unknown parameter 'ridge'; allowed: leakAuc, ridgeC", parameters={"ridge": 1})
    refuse("parameter 'meta.ridgeC'", parameters={"ridgeC": 0})


def _with_fold(night: Night, model: str, block: int, predictions: str) -> list[dict[str, Any]]:
    return [
        {**fold, "predictionsHash": predictions}
        if (fold["model"], fold["blockIndex"]) == (model, block)
        else fold
        for fold in night.meta_input()["folds"]
    ]


def test_planted_memorizer_is_named_and_its_window_refused(night: Night) -> None:
    dataset = load_dataset(night.store, night.dataset_hash)
    name = night.folds["extraTrees", 1]["predictionsHash"]
    frame, about = read_table(night.store.get(name), "fold", ["probability"])
    rows = dataset.test_rows(dataset.block(1))
    labels = dataset.target[rows.start : rows.stop]
    memorised = np.where(np.isnan(labels), 0.5, 0.05 + 0.9 * labels)
    columns = {
        "sessionIndex": frame["sessionIndex"].to_numpy(),
        "symbolIndex": frame["symbolIndex"].to_numpy(),
        "probability": memorised,
    }
    # It hides where it was trained: its in-sample AUC gives it away.
    hidden = night.store.put(write_table(columns, about))
    out = run_job(
        "fitMeta", night.meta_input(folds=_with_fold(night, "extraTrees", 1, hidden)), night.context
    )
    meta = night.store.get_json(out["metaHash"])
    assert meta["leakSuspects"] == [{"model": "extraTrees", "blockIndex": 1, "auc": 1.0}]
    # It says where it was trained: the window itself is refused.
    honest_about_it = {**about, "trainLastSession": about["testLastSession"]}
    open_leak = night.store.put(write_table(columns, honest_about_it))
    with pytest.raises(DataDefect, match="predictions of extraTrees, block 1: trained through"):
        run_job(
            "fitMeta", night.meta_input(folds=_with_fold(night, "extraTrees", 1, open_leak)), night.context
        )


def test_predictions_of_other_rows_or_another_model_are_refused(night: Night) -> None:
    def refuse(model: str, block: int, taken: tuple[str, int], match: str) -> None:
        folds = _with_fold(night, model, block, night.folds[taken]["predictionsHash"])
        with pytest.raises(DataDefect, match=match):
            run_job("fitMeta", night.meta_input(folds=folds), night.context)

    refuse("mlp", 0, ("xgboost", 0), "the table is of xgboost, block 0")
    refuse("mlp", 0, ("mlp", 1), "the table is of mlp, block 1")
    name = night.folds["mlp", 0]["predictionsHash"]
    frame, about = read_table(night.store.get(name), "fold", ["probability"])
    short = night.store.put(write_table({c: frame[c].to_numpy()[1:] for c in frame.columns}, about))
    with pytest.raises(DataDefect, match="rows are not those of the dataset"):
        run_job("fitMeta", night.meta_input(folds=_with_fold(night, "mlp", 0, short)), night.context)


def test_market_without_edge_has_no_certain_meta(store: Any) -> None:
    """No edge in the data: the calibrated probabilities stay near the base rate, or there are none."""
    context = JobContext(store)
    name = build_market(Market(edge=0.0, seed=11)).write(store)
    folds = []
    for model in ("lightgbm", "logisticRegression"):
        for block in range(3):
            out = run_job("fitFold", fit_input(name, model, blockIndex=block), context)
            folds.append({"model": model, "blockIndex": block, "predictionsHash": out["predictionsHash"]})
    given = {"datasetHash": name, "folds": folds, "seed": SEED, "threads": 2, "parameters": {}}
    out = run_job("fitMeta", given, context)
    frame = table(store, out["oofHash"]).filter(blockIndex=2)
    assert np.abs((frame["p_meta"] - frame["baseRate"]).to_numpy()).max() < 0.1
    if not out["usable"]:
        assert out["slope"] <= 0
