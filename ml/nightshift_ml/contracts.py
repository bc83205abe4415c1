"""Inputs and outputs of the activities, as in contract/*.schema.json: camelCase on the wire, no NaN."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from .errors import InvalidInput

Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, le=2_147_483_647)]
Threads = Annotated[int, Field(ge=1, le=64)]
Device = Literal["cpu", "cuda"]
Space = Literal["logOdds", "probability"]
ModelName = Annotated[str, Field(min_length=1)]
Parameter = bool | int | float | str | list[int | float]


class _Wire(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        populate_by_name=True,
        protected_namespaces=(),
    )


class MlInfoInput(_Wire):
    pass


class MlInfoOutput(_Wire):
    library_versions: dict[str, str]
    code_hash: Hash
    lock_hash: Hash
    platform: Annotated[str, Field(min_length=1)]
    threads: Threads
    cuda_available: bool


class FitFinalInput(_Wire):
    dataset_hash: Hash
    model: ModelName
    parameters: dict[str, Parameter]
    seed: Seed
    threads: Threads
    device: Device


class FitFoldInput(FitFinalInput):
    block_index: Count


class FitFoldOutput(_Wire):
    """`fitSeconds` and `cpuSeconds` are those of the fit itself, also where it is reused."""

    fold_key: Hash
    model_hash: Hash
    predictions_hash: Hash
    fit_reused: bool
    predictions_reused: bool
    train_rows: Count
    test_rows: Count
    trees: Count | None
    fit_seconds: Seconds
    cpu_seconds: Seconds


class FitFinalOutput(_Wire):
    """`finite`: whether it predicts finite values on its newest training rows and on session S."""

    fit_key: Hash
    model_hash: Hash
    fit_reused: bool
    train_rows: Count
    trees: Count | None
    finite: bool
    fit_seconds: Seconds
    cpu_seconds: Seconds


class FoldPredictions(_Wire):
    model: ModelName
    block_index: Count
    predictions_hash: Hash


class FitMetaInput(_Wire):
    dataset_hash: Hash
    folds: Annotated[list[FoldPredictions], Field(min_length=1)]
    seed: Seed
    threads: Threads
    parameters: dict[str, int | float]


class FitMetaOutput(_Wire):
    meta_hash: Hash
    oof_hash: Hash
    slope: float
    usable: bool
    base_rate: Annotated[float, Field(ge=0, le=1)]
    rows: Count
    blocks_with_meta: Count


class ExplainModelInput(_Wire):
    dataset_hash: Hash
    model: ModelName
    model_hash: Hash
    block_index: Count
    seed: Seed
    threads: Threads
    device: Device


class ExplainModelOutput(_Wire):
    shap_hash: Hash
    additivity_max_error: Annotated[float, Field(ge=0)]
    additive: bool
    space: Space
    seconds: Seconds


class ModelRef(_Wire):
    model: ModelName
    model_hash: Hash


class ScoreInput(_Wire):
    dataset_hash: Hash
    models: Annotated[list[ModelRef], Field(min_length=1)]
    meta_hash: Hash


class ScoreOutput(_Wire):
    predictions_hash: Hash
    rows: Count


class ExplainSignalsInput(_Wire):
    dataset_hash: Hash
    models: Annotated[list[ModelRef], Field(min_length=1)]
    meta_hash: Hash
    symbol_indexes: Annotated[list[Count], Field(min_length=1)]
    seed: Seed


class ExplainSignalsOutput(_Wire):
    reasons_hash: Hash
    rows: Count
    seconds: Seconds


W = TypeVar("W", bound=_Wire)

#: Input and output model of each activity, by its type on the wire.
CONTRACT: dict[str, tuple[type[_Wire], type[_Wire]]] = {
    "mlInfo": (MlInfoInput, MlInfoOutput),
    "fitFold": (FitFoldInput, FitFoldOutput),
    "fitFinal": (FitFinalInput, FitFinalOutput),
    "fitMeta": (FitMetaInput, FitMetaOutput),
    "explainModel": (ExplainModelInput, ExplainModelOutput),
    "score": (ScoreInput, ScoreOutput),
    "explainSignals": (ExplainSignalsInput, ExplainSignalsOutput),
}


def parse_input(kind: type[W], payload: Any) -> W:
    """Validates an activity's input. Raises InvalidInput that names each wrong key."""
    try:
        return kind.model_validate(payload, by_alias=True, by_name=False)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(part) for part in item['loc']) or 'input'}: {item['msg']}"
            for item in error.errors()
        )
        raise InvalidInput(f"{kind.__name__.removesuffix('Input')}: {wrong}") from error


def to_wire(output: BaseModel) -> dict[str, Any]:
    """The output as it crosses: camelCase keys, plain JSON values."""
    return output.model_dump(by_alias=True, mode="json")
