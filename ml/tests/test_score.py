"""Scores of session S: every model, the mean of logits, the calibrated stack."""

from __future__ import annotations

import numpy as np
import pytest
from support.night import MODEL_IDS, Night, table

from nightshift_ml.errors import ArtifactMissing, InvalidInput
from nightshift_ml.fitted import FittedModel
from nightshift_ml.jobs import JobContext, run_job
from nightshift_ml.meta import logit
from nightshift_ml.models._base import sigmoid


def test_scores_are_what_models_and_meta_say(night: Night) -> None:
    frame = table(night.store, night.scores["predictionsHash"])
    stack = ["p_meanLogit", "p_meta", "metaLogit", "baseRate"]
    assert frame.columns == ["symbolIndex", *[f"p_{m}" for m in MODEL_IDS], *stack]
    assert night.scores["rows"] == len(frame) == 12
    built = night.built
    tonight = built.frame.filter(sessionIndex=built.manifest["scoreSessionIndex"])
    assert frame["symbolIndex"].to_list() == tonight["symbolIndex"].to_list()
    x = tonight.select(built.manifest["features"]).to_numpy().astype(np.float32)
    meta = night.store.get_json(night.meta["metaHash"])
    z = np.empty((len(frame), len(MODEL_IDS)))
    for k, model in enumerate(MODEL_IDS):
        fitted = FittedModel.from_bytes(night.store.get(night.finals[model]["modelHash"]))
        p = fitted.probability(np.ascontiguousarray(x), 1)
        np.testing.assert_allclose(frame[f"p_{model}"], p, atol=1e-9)
        z[:, k] = logit(frame[f"p_{model}"].to_numpy())
    margin = z @ np.array([meta["coefficients"][m] for m in MODEL_IDS]) + meta["intercept"]
    np.testing.assert_allclose(frame["metaLogit"], margin, atol=1e-9)
    calibrated = sigmoid(meta["calibrator"]["a"] * margin + meta["calibrator"]["b"])
    np.testing.assert_allclose(frame["p_meta"], calibrated, atol=2e-9)
    np.testing.assert_allclose(frame["p_meanLogit"], sigmoid(z.mean(axis=1)), atol=2e-9)
    assert set(frame["baseRate"]) == {night.meta["baseRate"]}


def test_scores_are_the_same_bytes_in_another_process_state(night: Night) -> None:
    assert run_job("score", night.score_input(), JobContext(night.store)) == night.scores


def test_an_unusable_stack_scores_the_base_rate(night: Night) -> None:
    meta = night.store.get_json(night.meta["metaHash"])
    meta |= {"usable": False, "slope": -0.2, "calibrator": {"a": -0.2, "b": 0.0}}
    out = run_job("score", night.score_input(metaHash=night.store.put_json(meta)), night.context)
    frame = table(night.store, out["predictionsHash"])
    np.testing.assert_allclose(frame["p_meta"], round(meta["baseRate"], 9))
    assert frame["metaLogit"].n_unique() > 1


def test_models_and_meta_must_belong_together(night: Night) -> None:
    models = night.score_input()["models"]
    with pytest.raises(InvalidInput, match="are not those of the meta"):
        run_job("score", night.score_input(models=models[:-1]), night.context)
    swapped = [{**models[0], "modelHash": models[1]["modelHash"]}, *models[1:]]
    with pytest.raises(InvalidInput, match="the artifact given for 'lightgbm' holds a 'xgboost'"):
        run_job("score", night.score_input(models=swapped), night.context)
    with pytest.raises(ArtifactMissing):
        run_job("score", night.score_input(metaHash="0" * 64), night.context)
