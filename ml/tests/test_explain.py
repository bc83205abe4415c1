"""SHAP: additive for all eight, per raw feature, on seeded rows; reasons of signals for the whole stack."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from support.market import Market, build_market
from support.night import MODEL_IDS, SEED, Night, table

from nightshift_ml.dataset import load_dataset
from nightshift_ml.errors import DataDefect, InvalidInput
from nightshift_ml.explain import Explained, explain_fitted, explain_function
from nightshift_ml.fitted import FittedModel
from nightshift_ml.jobs import JobContext, run_job
from nightshift_ml.jobs.explain import sample_rows
from nightshift_ml.meta import logit

CONTRACT = Path(__file__).resolve().parents[2] / "contract"


def explain_input(night: Night, model: str, **over: Any) -> dict[str, Any]:
    return {
        "datasetHash": night.dataset_hash,
        "model": model,
        "modelHash": night.folds[model, 2]["modelHash"],
        "blockIndex": 2,
        "seed": SEED,
        "threads": 2,
        "device": "cpu",
        **over,
    }


def schema(name: str) -> Any:
    return json.loads((CONTRACT / f"{name}.schema.json").read_text())


@pytest.mark.parametrize("model", MODEL_IDS)
def test_additive_in_the_models_own_space(night: Night, model: str) -> None:
    out = run_job("explainModel", explain_input(night, model), night.context)
    assert out["additive"]
    assert out["additivityMaxError"] <= 1e-6
    assert out["space"] == ("probability" if model in ("randomForest", "extraTrees") else "logOdds")

    document = night.store.get_json(out["shapHash"])
    jsonschema.validate(document, schema("shapArtifact"))
    assert len(document["rows"]) == 100
    assert [entry["rank"] for entry in document["top20"]] == list(range(1, len(document["top20"]) + 1))
    absolute = [entry["meanAbsShap"] for entry in document["top20"]]
    assert absolute == sorted(absolute, reverse=True)
    assert sum(entry["share"] for entry in document["top20"]) == pytest.approx(1, abs=1e-9)  # 12 features
    assert [e["feature"] for e in document["top10"]] == [e["feature"] for e in document["top20"][:10]]
    for entry in document["top10"]:
        assert abs(entry["meanShap"]) <= entry["meanAbsShap"] + 1e-12
    # The planted signal is in feature00.
    assert "feature00" in [entry["feature"] for entry in document["top10"][:3]]

    # The values themselves, not only their sums: recomputed here, they add up to the prediction.
    fitted = FittedModel.from_bytes(night.store.get(night.folds[model, 2]["modelHash"]))
    dataset = load_dataset(night.store, night.dataset_hash)
    rows = sample_rows(dataset, dataset.block(2), SEED)
    explained = explain_fitted(fitted, dataset.x[rows], seed=SEED, threads=2, progress=lambda *_: None)
    assert explained.values.shape == (100, 12)
    total = explained.base + explained.values.sum(axis=1)
    p = total if fitted.model.space == "probability" else 1 / (1 + np.exp(-total))
    np.testing.assert_allclose(p, fitted.probability(dataset.x[rows], 2), atol=1e-6)
    assert run_job("explainModel", explain_input(night, model), night.context)["shapHash"] == out["shapHash"]


def test_a_broken_sum_is_not_called_additive() -> None:
    output = np.array([0.1, -2.0])
    values = np.array([[0.1, 0.0], [-1.0, -1.0]])
    assert Explained(values, np.zeros(2), output).additive
    assert not Explained(values, np.array([2e-6, 0.0]), output).additive
    assert Explained(values, np.array([0.0, 1.9e-5]), output).additive  # within 1e-5 of |f| = 2
    assert not Explained(values, np.array([0.0, 2.1e-5]), output).additive


def test_rows_are_seeded_and_even_over_sessions(night: Night) -> None:
    dataset = load_dataset(night.store, night.dataset_hash)
    block = dataset.block(2)
    rows = sample_rows(dataset, block, SEED)
    assert len(rows) == len(set(rows)) == 100
    assert np.array_equal(rows, sample_rows(dataset, block, SEED))
    assert not np.array_equal(rows, sample_rows(dataset, block, SEED + 1))
    sessions, counts = np.unique(dataset.session_index[rows], return_counts=True)
    assert set(sessions) == set(range(block.first_test_session_index, block.last_test_session_index + 1))
    assert set(counts) == {2, 3}  # 100 rows over 40 sessions


def test_a_block_that_has_just_begun_gives_the_rows_it_has(night: Night) -> None:
    dataset = load_dataset(night.store, night.dataset_hash)
    block = dataset.block(2)
    short = block.model_copy(update={"last_test_session_index": block.first_test_session_index + 2})
    test = dataset.test_rows(short)
    assert 0 < test.stop - test.start < 100
    assert sample_rows(dataset, short, SEED).tolist() == list(range(test.start, test.stop))


def test_permutation_values_are_shaps_own() -> None:
    import shap

    random = np.random.default_rng(0)
    inner, outer = random.standard_normal((7, 5)), random.standard_normal(5)

    def function(x: Any) -> Any:
        return np.tanh(np.nan_to_num(np.asarray(x, dtype=np.float64)) @ inner) @ outer

    background = random.standard_normal((50, 7)).astype(np.float32)
    x = random.standard_normal((6, 7)).astype(np.float32)
    x[2, 3] = np.nan
    ours = explain_function(function, background, x, seed=11, progress=lambda *_: None)
    masker = shap.maskers.Independent(background, max_samples=50)
    theirs = shap.PermutationExplainer(function, masker, seed=11)(x, max_evals=15, silent=True)
    np.testing.assert_allclose(ours.values, theirs.values, atol=1e-12)
    np.testing.assert_allclose(ours.base, theirs.base_values, atol=1e-12)


def test_an_indicators_contribution_belongs_to_its_feature(night: Night) -> None:
    fitted = FittedModel.from_bytes(night.store.get(night.folds["logisticRegression", 2]["modelHash"]))
    assert fitted.preprocess is not None
    assert len(fitted.preprocess.indicators) == 11  # every feature but the calendar one has gaps
    coefficients, _ = fitted.model.explained(fitted.fitted)
    row = np.zeros((1, 12), dtype=np.float32)
    gap = row.copy()
    gap[0, 4] = np.nan
    values = [
        explain_fitted(fitted, x, seed=1, threads=1, progress=lambda *_: None).values[0] for x in (row, gap)
    ]
    changed = np.flatnonzero(np.abs(values[1] - values[0]) > 1e-12)
    assert changed.tolist() == [4]
    assert len(coefficients) == 12 + 11


def test_explaining_the_wrong_model_is_refused(night: Night) -> None:
    wrong = explain_input(night, "mlp", modelHash=night.folds["lightgbm", 2]["modelHash"])
    with pytest.raises(InvalidInput, match="the artifact given for 'mlp' holds a 'lightgbm'"):
        run_job("explainModel", wrong, night.context)


def signals_input(night: Night, symbols: list[int]) -> dict[str, Any]:
    return {**night.score_input(), "symbolIndexes": symbols, "seed": SEED}


def test_reasons_of_signals_add_up_to_the_stacks_log_odds(night: Night) -> None:
    symbols = [7, 2, 11]
    out = run_job("explainSignals", signals_input(night, symbols), night.context)
    assert out["rows"] == 3
    document = night.store.get_json(out["reasonsHash"])
    jsonschema.validate(document, schema("reasonsArtifact"))
    assert document["additive"]
    assert sorted(document["symbols"], key=int) == ["2", "7", "11"]
    scores = table(night.store, night.scores["predictionsHash"])
    for symbol in symbols:
        reasons = document["symbols"][str(symbol)]
        score = scores.filter(symbolIndex=symbol)["metaLogit"][0]
        assert reasons["value"] == pytest.approx(score, abs=1e-7)
        contributions = reasons["contributions"]
        assert len(contributions) == 10
        sizes = [abs(entry["shap"]) for entry in contributions]
        assert sizes == sorted(sizes, reverse=True)
        # Ten of twelve features: what is left is no larger than the two smallest could be.
        left = reasons["value"] - reasons["baseValue"] - sum(entry["shap"] for entry in contributions)
        assert abs(left) <= 2 * sizes[-1] + 1e-9
    assert (
        run_job("explainSignals", signals_input(night, symbols), night.context)["reasonsHash"]
        == (out["reasonsHash"])
    )


def test_reasons_keep_the_background_of_the_version_on_a_later_night(night: Night) -> None:
    """The gate kept an older version: its base value is that of its own training rows, not of tonight's."""
    first = run_job("explainSignals", signals_input(night, [2, 7]), night.context)
    known = night.store.get_json(first["reasonsHash"])["symbols"]
    later = build_market(Market())
    # Tonight's final training window has moved on, the rows of session S are the same.
    later.manifest["finalTrain"]["firstSessionIndex"] += 40
    given = {**signals_input(night, [2, 7]), "datasetHash": later.write(night.store)}
    assert given["datasetHash"] != night.dataset_hash
    out = run_job("explainSignals", given, JobContext(night.store))
    reasons = night.store.get_json(out["reasonsHash"])["symbols"]
    assert reasons == known

    final = night.finals["lightgbm"]["modelHash"]
    background = FittedModel.from_bytes(night.store.get(final)).background
    assert reasons["2"]["baseValue"] == pytest.approx(_mean_margin(night, background), abs=1e-9)
    swapped = signals_input(night, [2])
    swapped["models"][0] = {"model": "lightgbm", "modelHash": night.folds["lightgbm", 0]["modelHash"]}
    with pytest.raises(DataDefect, match="not fitted on the same training rows"):
        run_job("explainSignals", swapped, night.context)


def _mean_margin(night: Night, rows: Any) -> float:
    meta = night.store.get_json(night.meta["metaHash"])
    z = [
        logit(FittedModel.from_bytes(night.store.get(fit["modelHash"])).probability(rows, 2))
        for fit in night.finals.values()
    ]
    weights = [meta["coefficients"][model] for model in night.finals]
    return float((np.array(weights) @ np.array(z) + meta["intercept"]).mean())


def test_reasons_need_a_row_tonight(night: Night) -> None:
    for symbols in ([99], [2, 2]):
        with pytest.raises(InvalidInput, match="symbolIndexes"):
            run_job("explainSignals", signals_input(night, symbols), night.context)
