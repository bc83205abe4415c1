"""fitFold and fitFinal: fitted once per key, repaired when damaged, refused when wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from support.market import Market, build_market
from support.night import MODEL_IDS, Night, fit_input, table

import nightshift_ml.jobs.fit as fit_module
from nightshift_ml.artifacts import ArtifactStore
from nightshift_ml.errors import DataDefect, DeviceUnavailable, FitFailed, InvalidInput, NumericFailure
from nightshift_ml.fitted import FittedModel, fit_model
from nightshift_ml.jobs import JobContext, run_job
from nightshift_ml.models import get_model


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the models that were really fitted."""
    seen: list[str] = []
    real = fit_model

    def counted(model: Any, *rest: Any) -> FittedModel:
        seen.append(model.id)
        return real(model, *rest)

    monkeypatch.setattr(fit_module, "fit_model", counted)
    return seen


@pytest.mark.parametrize("model", MODEL_IDS)
def test_predictions_of_a_fold(night: Night, model: str) -> None:
    out = night.folds[model, 1]
    assert out["testRows"] == 480
    assert out["trainRows"] > 1500
    assert (out["trees"] is None) == ("trees" not in get_model(model).declared)
    assert not out["fitReused"]
    frame = table(night.store, out["predictionsHash"])
    assert frame.columns == ["sessionIndex", "symbolIndex", "probability"]
    assert frame.dtypes == [pl.Int32, pl.Int32, pl.Float64]
    block = night.built.manifest["blocks"][1]
    sessions = frame["sessionIndex"].unique().to_list()
    assert sessions == list(range(block["firstTestSessionIndex"], block["lastTestSessionIndex"] + 1))
    p = frame["probability"].to_numpy()
    assert ((p > 0) & (p < 1)).all()
    assert np.array_equal(p, np.round(p, 9))


@pytest.mark.parametrize("model", MODEL_IDS)
def test_the_second_call_reads(store: ArtifactStore, dataset_hash: str, fits: list[str], model: str) -> None:
    given = fit_input(dataset_hash, model, blockIndex=0)
    first = run_job("fitFold", given, JobContext(store))
    again = run_job("fitFold", given, JobContext(store))
    assert again == {**first, "fitReused": True, "predictionsReused": True}
    assert fits == [model]
    final = run_job("fitFinal", fit_input(dataset_hash, model), JobContext(store))
    assert run_job("fitFinal", fit_input(dataset_hash, model), JobContext(store)) == {
        **final,
        "fitReused": True,
    }
    assert fits == [model, model]
    assert final["fitKey"] != first["foldKey"]


def test_every_part_of_the_key_counts(store: ArtifactStore, dataset_hash: str, fits: list[str]) -> None:
    context = JobContext(store)
    base = fit_input(dataset_hash, "lightgbm", blockIndex=0)
    variants = [
        base,
        {**base, "blockIndex": 1},
        {**base, "seed": 1},
        {**base, "threads": 1},
        {**base, "parameters": {"trees": 5}},
    ]
    keys = {run_job("fitFold", given, context)["foldKey"] for given in variants}
    assert len(keys) == len(fits) == len(variants)
    # A default that is spelled out is the same fit.
    spelled = {**base, "parameters": {**base["parameters"], "learningRate": 0.05, "maxBins": 63}}
    assert run_job("fitFold", spelled, context)["fitReused"]


def test_a_later_night_refits_only_what_changed(store: ArtifactStore, fits: list[str]) -> None:
    context = JobContext(store)
    one = build_market(Market())
    later = build_market(Market())
    # The next night: the newest block has one test session more, its training window is the same.
    one.manifest["blocks"][2]["lastTestSessionIndex"] -= 1
    a, b = one.write(store), later.write(store)
    first = run_job("fitFold", fit_input(a, "xgboost", blockIndex=2), context)
    second = run_job("fitFold", fit_input(b, "xgboost", blockIndex=2), context)
    assert fits == ["xgboost"]
    assert (second["fitReused"], second["predictionsReused"]) == (True, False)
    assert second["modelHash"] == first["modelHash"]
    old, new = table(store, first["predictionsHash"]), table(store, second["predictionsHash"])
    assert old.equals(new.head(len(old)))
    assert len(new) == len(old) + 12


def test_a_lost_or_damaged_model_is_fitted_again(
    store: ArtifactStore, dataset_hash: str, fits: list[str]
) -> None:
    given = fit_input(dataset_hash, "logisticRegression", blockIndex=0)
    first = run_job("fitFold", given, JobContext(store))
    store.delete(first["modelHash"])
    second = run_job("fitFold", given, JobContext(store))
    assert (second["fitReused"], second["modelHash"]) == (False, first["modelHash"])

    store.delete(first["predictionsHash"])
    from pathlib import Path

    name = first["modelHash"]
    path = Path(store.url.removeprefix("file://")) / "objects" / name[:2] / name
    good = path.read_bytes()
    path.write_bytes(bytes(len(good)))
    third = run_job("fitFold", given, JobContext(store))
    assert (third["fitReused"], third["predictionsReused"]) == (False, False)
    assert third["predictionsHash"] == first["predictionsHash"]
    assert path.read_bytes() == good
    assert len(fits) == 3


def test_a_final_model_says_whether_it_predicts_finite_values(
    store: ArtifactStore, dataset_hash: str
) -> None:
    given = fit_input(dataset_hash, "mlp")
    sound = run_job("fitFinal", given, JobContext(store))
    assert sound["finite"]

    # Weights that ran away: the artifact is whole and the fit is found, only its output is worth nothing.
    fitted = FittedModel.from_bytes(store.get(sound["modelHash"]))
    for weight in fitted.fitted.weights:
        weight[:] = np.nan
    spoiled = store.put(fitted.to_bytes())
    store.put_ref("finals", sound["fitKey"], {**_record(store, sound["fitKey"]), "modelHash": spoiled})
    again = run_job("fitFinal", given, JobContext(store))
    assert (again["fitReused"], again["modelHash"], again["finite"]) == (True, spoiled, False)


def _record(store: ArtifactStore, key: str) -> dict[str, Any]:
    record = store.get_ref("finals", key)
    assert record is not None
    return record


@pytest.mark.parametrize("broken_rows", ["training", "session S"])
def test_a_final_model_is_tried_on_its_newest_training_rows_and_on_session_s(
    context: JobContext, dataset_hash: str, monkeypatch: pytest.MonkeyPatch, broken_rows: str
) -> None:
    from nightshift_ml.models.mlp import Mlp

    dataset = context.datasets.get(dataset_hash)
    scored = len(dataset.score_rows().x)
    real = Mlp.margin

    def margin(self: Mlp, fitted: Any, x: Any, threads: int) -> Any:
        values = real(self, fitted, x, threads)
        if (len(x) == scored) == (broken_rows == "session S"):
            values[-1] = np.inf
        return values

    monkeypatch.setattr(Mlp, "margin", margin)
    assert not run_job("fitFinal", fit_input(dataset_hash, "mlp"), context)["finite"]


def test_wrong_requests_name_what_is_wrong(context: JobContext, dataset_hash: str) -> None:
    good = fit_input(dataset_hash, "catboost", blockIndex=0)

    def refuse(kind: type[Exception], match: str, **over: Any) -> None:
        with pytest.raises(kind, match=match):
            run_job("fitFold", {**good, **over}, context)

    refuse(InvalidInput, "catboost: unknown parameter 'leaves'", parameters={"leaves": 3})
    refuse(InvalidInput, "parameter 'catboost.depth' must be 1 to 12", parameters={"depth": 99})
    refuse(InvalidInput, "unknown model 'svm'", model="svm")
    refuse(InvalidInput, "blockIndex 9", blockIndex=9)
    refuse(InvalidInput, "FitFold: surprise", surprise=1)
    refuse(InvalidInput, "FitFold: seed", seed=-1)
    refuse(InvalidInput, "FitFold: datasetHash", datasetHash="nope")
    refuse(InvalidInput, "FitFold: dataset_hash", dataset_hash=dataset_hash)
    with pytest.raises(InvalidInput, match="FitFold: model: Field required"):
        run_job("fitFold", {k: v for k, v in good.items() if k != "model"}, context)


def test_cuda_without_a_gpu_fails_before_any_work(
    context: JobContext, dataset_hash: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nightshift_ml.device.cuda_devices", lambda: 0)
    for job, over in (("fitFold", {"blockIndex": 0}), ("fitFinal", {})):
        with pytest.raises(DeviceUnavailable, match="no GPU on this machine"):
            run_job(job, fit_input(dataset_hash, "lightgbm", device="cuda", **over), context)
    assert context.datasets.loads == 0


def test_a_librarys_error_is_retryable_and_bad_numbers_are_not(
    context: JobContext, dataset_hash: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nightshift_ml.models.lightgbm import LightGbm

    given = fit_input(dataset_hash, "lightgbm", blockIndex=0)
    monkeypatch.setattr(LightGbm, "margin", lambda _self, _fitted, x, _threads: np.full(len(x), np.nan))
    with pytest.raises(NumericFailure, match="lightgbm: predictions are not finite"):
        run_job("fitFold", given, context)

    def broken(*_: Any) -> None:
        raise RuntimeError("out of luck")

    monkeypatch.setattr(LightGbm, "fit", broken)
    with pytest.raises(FitFailed, match="lightgbm: RuntimeError: out of luck") as caught:
        run_job("fitFold", {**given, "seed": 5}, context)
    assert caught.value.retryable


def test_purge_is_checked_where_the_fit_happens(store: ArtifactStore, context: JobContext) -> None:
    built = build_market(Market())
    built.manifest["blocks"][0]["trainLastSessionIndex"] += 1
    with pytest.raises(DataDefect, match="block 0: training session"):
        run_job("fitFold", fit_input(built.write(store), "lightgbm", blockIndex=0), context)
