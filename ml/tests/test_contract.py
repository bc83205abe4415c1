"""The contract that both languages read: fixtures in tests/contract/fixtures, schemas in contract/."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError
from support.night import MODEL_IDS, Night

from nightshift_ml.contracts import CONTRACT, FitMetaOutput, parse_input, to_wire
from nightshift_ml.errors import FAILURES, InvalidInput
from nightshift_ml.models import get_model

ROOT = Path(__file__).resolve().parents[2]
SIDES = [(name, side) for name in CONTRACT for side in ("input", "output")]


def fixture(name: str, side: str) -> Any:
    return json.loads((ROOT / "tests" / "contract" / "fixtures" / f"{name}.{side}.json").read_text())


def schema(name: str, side: str) -> Any:
    return json.loads((ROOT / "contract" / f"{name}.{side}.schema.json").read_text())


@pytest.mark.parametrize(("name", "side"), SIDES)
def test_fixture_is_accepted_and_comes_back_unchanged(name: str, side: str) -> None:
    given = fixture(name, side)
    jsonschema.validate(given, schema(name, side))
    kind = CONTRACT[name][0 if side == "input" else 1]
    assert to_wire(kind.model_validate(given, by_alias=True, by_name=False)) == given


@pytest.mark.parametrize(("name", "side"), SIDES)
def test_models_and_published_schemas_name_the_same_fields(name: str, side: str) -> None:
    published = schema(name, side)
    kind = CONTRACT[name][0 if side == "input" else 1]
    ours = {field.alias for field in kind.model_fields.values()}
    assert ours == set(published.get("properties", {})) == set(published.get("required", []))
    assert published["additionalProperties"] is False


@pytest.mark.parametrize("name", list(CONTRACT))
def test_inputs_refuse_what_the_schema_refuses(name: str) -> None:
    given = fixture(name, "input")
    wrong: list[object] = [{**given, "surprise": 1}, [], None, "text"]
    for key, value in given.items():
        wrong.append({k: v for k, v in given.items() if k != key})
        wrong.append({**given, key: None})
        if isinstance(value, int):
            wrong += [{**given, key: -1}, {**given, key: value + 0.5}, {**given, key: str(value)}]
        if isinstance(value, str):
            wrong += [{**given, key: 5}, {**given, key: ""}]
    for candidate in wrong:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(candidate, schema(name, "input"))
        with pytest.raises(InvalidInput):
            parse_input(CONTRACT[name][0], candidate)


def test_nan_never_crosses() -> None:
    good = fixture("fitMeta", "output")
    for wrong in (math.nan, math.inf):
        with pytest.raises(ValidationError):
            FitMetaOutput.model_validate({**good, "slope": wrong}, by_alias=True, by_name=False)


def test_real_outputs_fit_the_schemas(night: Night) -> None:
    for out in night.folds.values():
        jsonschema.validate(out, schema("fitFold", "output"))
    for out in night.finals.values():
        jsonschema.validate(out, schema("fitFinal", "output"))
    jsonschema.validate(night.meta, schema("fitMeta", "output"))
    jsonschema.validate(night.scores, schema("score", "output"))
    jsonschema.validate(night.built.manifest, schema_of_manifest())


def schema_of_manifest() -> Any:
    return json.loads((ROOT / "contract" / "datasetManifest.schema.json").read_text())


def test_model_names_are_those_of_the_schema() -> None:
    assert schema("fitFold", "input")["properties"]["model"]["enum"] == MODEL_IDS


def test_default_parameters_of_the_configuration_are_known_to_the_models() -> None:
    """The names in src/contracts/schemas/config-defaults.ts are the ones the model files declare."""
    text = (ROOT / "src" / "contracts" / "schemas" / "config-defaults.ts").read_text()
    for model_id in MODEL_IDS:
        lines = [line for line in text.splitlines() if line.strip().startswith(f"{model_id}: {{")]
        assert lines, model_id
        for line in lines:
            body = line.split("{", 1)[1].rsplit("}", 1)[0]
            for key in (part.split(":")[0].strip() for part in body.split(", ") if ":" in part):
                assert key in get_model(model_id).declared, f"{model_id}.{key}"


def test_failure_types_are_those_the_workflows_know() -> None:
    text = (ROOT / "src" / "contracts" / "wire" / "failures.ts").read_text()
    for name, kind in FAILURES.items():
        policy = next(line for line in text.splitlines() if line.strip().startswith(f"{name}: "))
        assert ("'retry'" in policy) == kind.retryable, name
