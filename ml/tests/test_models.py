"""Each of the eight models: fit, predict, parameters, progress, round trip through its bytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.night import MODEL_IDS, PARAMETERS, SEED

from nightshift_ml.dataset import TrainingRows
from nightshift_ml.errors import DataDefect, InvalidInput
from nightshift_ml.fitted import BACKGROUND_ROWS, FittedModel, fit_model
from nightshift_ml.hashing import sha256_hex
from nightshift_ml.meta import auc
from nightshift_ml.models import get_model, registry
from nightshift_ml.models._base import FitContext
from nightshift_ml.models._container import pack, unpack

FEATURES = [f"f{j}" for j in range(6)]


def rows(count: int = 1500, seed: int = 1) -> TrainingRows:
    random = np.random.default_rng(seed)
    x = random.standard_normal((count, len(FEATURES))).astype(np.float32)
    y = (x[:, 0] - 0.5 * x[:, 1] + random.standard_normal(count) > 0).astype(np.float32)
    x[random.random(x.shape) < 0.05] = np.nan
    x[:, 5] = random.standard_normal(count).astype(np.float32)  # one feature without gaps
    return TrainingRows(x, y, 0, 1)


def fitted(model_id: str, seen: list[tuple[str, int, int]] | None = None) -> FittedModel:
    model = get_model(model_id)
    calls = seen if seen is not None else []
    progress = lambda phase, done, total: calls.append((phase, done, total))  # noqa: E731
    given = FitContext(model.resolve(PARAMETERS[model_id]), SEED, 2, "cpu", progress)
    return fit_model(model, rows(), FEATURES, given)


@pytest.mark.parametrize("model_id", MODEL_IDS)
def test_learns_takes_missing_values_and_survives_its_bytes(model_id: str) -> None:
    model = fitted(model_id)
    test = rows(seed=2)
    p = model.probability(test.x, 2)
    assert p.dtype == np.float64
    assert p.shape == (1500,)
    assert ((p > 0) & (p < 1)).all()
    assert p[test.y == 1].mean() > p[test.y == 0].mean() + 0.02
    assert np.isfinite(model.probability(np.full((1, 6), np.nan, dtype=np.float32), 2)).all()

    again = FittedModel.from_bytes(model.to_bytes())
    assert np.array_equal(again.probability(test.x, 2), p)
    alone = again.probability(test.x[7:8], 1)
    np.testing.assert_allclose(alone, p[7:8], rtol=0, atol=1e-12, err_msg="depends on the rows beside it")
    assert again.trees == model.trees
    assert again.features == tuple(FEATURES)
    assert again.background.shape == (BACKGROUND_ROWS, 6)


@pytest.mark.parametrize("model_id", MODEL_IDS)
def test_a_feature_without_any_value_is_ignored(model_id: str) -> None:
    """Ranks are null where a universe is too small: eight symbols have none at all."""
    model = get_model(model_id)
    given = FitContext(model.resolve(PARAMETERS[model_id]), SEED, 2, "cpu", lambda *_: None)
    train = rows()
    train.x[:, 3] = np.nan
    p = fit_model(model, train, FEATURES, given).probability(rows(seed=2).x, 2)
    assert ((p > 0) & (p < 1)).all()


@pytest.mark.parametrize("model_id", MODEL_IDS)
def test_reports_real_progress(model_id: str) -> None:
    seen: list[tuple[str, int, int]] = []
    fitted(model_id, seen)
    fit = [(done, total) for phase, done, total in seen if phase == "fit"]
    assert len(fit) >= 2
    assert [done for done, _ in fit] == sorted(done for done, _ in fit)
    assert all(0 <= done <= total for done, total in fit)
    if model_id != "logisticRegression":  # it may converge before its last iteration
        assert fit[-1][0] == fit[-1][1]


@pytest.mark.parametrize("model_id", MODEL_IDS)
def test_parameters_are_declared_and_checked(model_id: str) -> None:
    model = get_model(model_id)
    defaults = model.resolve({})
    assert set(defaults) == set(model.declared)
    with pytest.raises(InvalidInput, match=f"{model_id}: unknown parameter 'treees'; allowed: "):
        model.resolve({"treees": 5})
    key = next(iter(model.declared))
    for wrong in ("many", True, -1, 1e12, None):
        with pytest.raises(InvalidInput, match=f"'{model_id}.{key}' must be"):
            model.resolve({key: wrong})


def test_parameters_of_one_meaning_are_one_value() -> None:
    assert get_model("lightgbm").resolve({"learningRate": 1}) == get_model("lightgbm").resolve(
        {"learningRate": 1.0}
    )
    with pytest.raises(InvalidInput, match=r"'lightgbm.trees' must be a whole number"):
        get_model("lightgbm").resolve({"trees": 10.5})
    with pytest.raises(InvalidInput, match="unknown model 'svm'; known: lightgbm"):
        get_model("svm")


def test_registry_is_in_report_order() -> None:
    assert list(registry()) == MODEL_IDS
    spaces = {model_id: model.space for model_id, model in registry().items()}
    assert {m for m, s in spaces.items() if s == "probability"} == {"randomForest", "extraTrees"}


@pytest.mark.parametrize("model_id", ["randomForest", "extraTrees"])
def test_forest_is_as_good_as_the_librarys_own_bagging(model_id: str) -> None:
    from sklearn import ensemble

    model = get_model(model_id)
    parameters = model.resolve({"trees": 80, "depth": 4, "rowsPerTree": 500, "minRowsPerLeaf": 20})
    train = rows(4000)
    ours = fit_model(model, train, FEATURES, FitContext(parameters, SEED, 2, "cpu", lambda *_: None))
    theirs = getattr(ensemble, f"{model_id[0].upper()}{model_id[1:]}Classifier")(
        80, max_depth=4, max_samples=500, min_samples_leaf=20, bootstrap=True, random_state=SEED
    ).fit(ours.columns(train.x), train.y)
    test = rows(4000, seed=3)
    p = ours.probability(test.x, 1)
    q = theirs.predict_proba(ours.columns(test.x))[:, 1]
    assert np.corrcoef(p, q)[0, 1] > 0.9
    assert abs(auc(p, test.y) - auc(q, test.y)) < 0.01
    one = fit_model(model, train, FEATURES, FitContext(parameters, SEED, 1, "cpu", lambda *_: None))
    assert np.array_equal(one.probability(test.x, 1), p), "threads must not change the forest"


def test_histogram_boosting_does_not_stop_on_a_row_split() -> None:
    model = get_model("histGradientBoosting")
    noise = np.random.default_rng(0)
    x = noise.standard_normal((12_000, 3)).astype(np.float32)
    train = TrainingRows(x, (noise.random(12_000) < 0.5).astype(np.float32), 0, 1)
    context = FitContext(model.resolve({"trees": 40}), SEED, 2, "cpu", lambda *_: None)
    assert fit_model(model, train, ["a", "b", "c"], context).trees == 40


def test_artifact_of_another_library_or_cut_is_refused() -> None:
    data = fitted("logisticRegression").to_bytes()
    head, sections = unpack(data)
    with pytest.raises(DataDefect, match=r"artifact of scikit-learn 0.1, installed is scikit-learn"):
        FittedModel.from_bytes(pack({**head, "library": "scikit-learn 0.1"}, sections))
    with pytest.raises(DataDefect, match="cut"):
        FittedModel.from_bytes(data[:-1])
    with pytest.raises(DataDefect, match="not a model artifact"):
        FittedModel.from_bytes(b"PK")


def test_estimator_bytes_do_not_tell_which_equal_strings_are_one_object() -> None:
    from sklearn.ensemble import ExtraTreesClassifier

    from nightshift_ml.models._pickle import dump_estimator

    def estimator(words: list[str]) -> ExtraTreesClassifier:
        made = ExtraTreesClassifier(n_estimators=3)
        made.estimator_params = tuple(words)
        return made

    # The first is the object that is also a name of an attribute, the second is made anew.
    names = [sys.intern(word) for word in ("criterion", "max_depth")]
    copies = ["".join(list(word)) for word in names]
    assert all(copy is not name for copy, name in zip(copies, names, strict=True))
    assert dump_estimator(estimator(names)) == dump_estimator(estimator(copies))


def test_estimator_bytes_name_no_foreign_code() -> None:
    import pickle
    import zlib

    from nightshift_ml.models._pickle import load_estimator

    with pytest.raises(pickle.UnpicklingError, match=r"must not name (posix|os|nt)\.system"):
        load_estimator(zlib.compress(b"cos\nsystem\n(S'true'\ntR."))


_FRESH = """
import json, sys
sys.path[:0] = sys.argv[1:3]
import conftest, test_models
from nightshift_ml.hashing import sha256_hex
print(json.dumps({m: sha256_hex(test_models.fitted(m).to_bytes()) for m in test_models.MODEL_IDS}))
"""


def test_identical_fits_in_a_fresh_process_hash_identically() -> None:
    folder = Path(__file__).parent
    # Another order of sets and dictionaries than here, where much else was fitted before.
    seed = "4711" if os.environ.get("PYTHONHASHSEED") == "0" else "0"
    fresh = subprocess.run(
        [sys.executable, "-c", _FRESH, str(folder), str(folder.parent)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": seed},
        timeout=80,
        check=True,
    )
    here = {model_id: sha256_hex(fitted(model_id).to_bytes()) for model_id in MODEL_IDS}
    assert json.loads(fresh.stdout) == here
    assert len(set(here.values())) == len(MODEL_IDS)
