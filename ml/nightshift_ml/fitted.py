"""A fitted model with its preprocessing and background: what a model artifact holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .dataset import Doubles, Floats, TrainingRows
from .errors import DataDefect, FitFailed, InvalidInput, MlError, NumericFailure
from .models import get_model
from .models._base import FitContext, Model, sigmoid
from .models._container import pack, pack_arrays, unpack, unpack_arrays
from .models._preprocess import Preprocess

#: Training rows stored with a model as the background of its explanations.
BACKGROUND_ROWS = 50


@dataclass(frozen=True)
class FittedModel:
    """model + preprocessing; takes raw feature rows float32 [n, features], NaN for missing."""

    model: Model[Any]
    fitted: Any
    preprocess: Preprocess | None
    background: Floats
    features: tuple[str, ...]
    about: dict[str, Any]

    def columns(self, x: Floats) -> Floats:
        """Raw rows as the library's model sees them."""
        return x if self.preprocess is None else self.preprocess.transform(x)

    def margin(self, x: Floats, threads: int) -> Doubles:
        """Output in the model's explained space, float64 [n]."""
        return self.model.margin(self.fitted, self.columns(x), threads)

    def probability(self, x: Floats, threads: int) -> Doubles:
        """Probability of the label 1, float64 [n]. Raises NumericFailure."""
        margin = self.margin(x, threads)
        if not np.isfinite(margin).all():
            raise NumericFailure(f"{self.model.id}: predictions are not finite")
        return sigmoid(margin) if self.model.space == "logOdds" else margin

    @property
    def trees(self) -> int | None:
        """Number of trees, where there are any."""
        return self.model.trees(self.fitted)

    def to_bytes(self) -> bytes:
        """Artifact bytes: identical fits give identical bytes."""
        sections = {
            "model": self.model.save(self.fitted),
            "background": pack_arrays({"x": self.background}),
        }
        if self.preprocess is not None:
            sections["preprocess"] = self.preprocess.save()
        return pack(self.about, sections)

    @staticmethod
    def id_in(data: bytes) -> str:
        """Which model the artifact's bytes hold. Raises DataDefect."""
        about, _ = unpack(data)
        return str(about["model"])

    @classmethod
    def from_bytes(cls, data: bytes) -> FittedModel:
        """The inverse of `to_bytes`. Raises DataDefect for another library version."""
        about, sections = unpack(data)
        model = get_model(about["model"])
        if about["library"] != model.library:
            raise DataDefect(f"{model.id}: artifact of {about['library']}, installed is {model.library}")
        preprocess = Preprocess.load(sections["preprocess"]) if "preprocess" in sections else None
        background = unpack_arrays(sections["background"])["x"]
        fitted = model.load(sections["model"])
        return cls(model, fitted, preprocess, background, tuple(about["features"]), about)

    def require(self, model_id: str, features: list[str]) -> None:
        """Raises InvalidInput unless this is that model, fitted on these features in this order."""
        if self.model.id != model_id:
            raise InvalidInput(f"the artifact given for '{model_id}' holds a '{self.model.id}'")
        if list(self.features) != features:
            raise InvalidInput(f"{model_id}: fitted on other features than the dataset has")


def fit_model(
    model: Model[Any], train: TrainingRows, features: list[str], context: FitContext
) -> FittedModel:
    """Fits preprocessing and model inside the training window. Raises FitFailed for a library's error."""
    context.progress("prepare", 0, 1)
    try:
        preprocess = Preprocess.fit(train.x, model.inputs)
        x = train.x if preprocess is None else preprocess.transform(train.x)
        fitted = model.fit(x, train.y, context)
    except MlError:
        raise
    except Exception as error:
        raise FitFailed(f"{model.id}: {type(error).__name__}: {error}") from error
    about = {
        "schemaVersion": 1,
        "model": model.id,
        "library": model.library,
        "features": features,
        "parameters": dict(context.parameters),
        "seed": context.seed,
        "threads": context.threads,
        "device": context.device,
        "trainRows": len(train.y),
    }
    return FittedModel(
        model, fitted, preprocess, background_of(train.x, context.seed), tuple(features), about
    )


def background_of(x: Floats, seed: int) -> Floats:
    """BACKGROUND_ROWS training rows, drawn by the seed, in their own order."""
    count = min(BACKGROUND_ROWS, len(x))
    chosen = np.random.default_rng(seed).choice(len(x), size=count, replace=False)
    return np.ascontiguousarray(x[np.sort(chosen)])
