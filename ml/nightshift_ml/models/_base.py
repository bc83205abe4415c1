"""What a model file states: parameters, inputs it needs, how to fit, predict, save and explain."""

from __future__ import annotations

import importlib
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from ..errors import InvalidInput

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Space = Literal["logOdds", "probability"]
#: native: NaN as it is; imputed: training median + missing indicator; scaled: imputed, then standardised.
Inputs = Literal["native", "imputed", "scaled"]
#: Reports real progress: phase, units done, units in total.
Progress = Callable[[str, int, int], None]

F = TypeVar("F")


@dataclass(frozen=True)
class Whole:
    """A whole-number parameter."""

    default: int
    low: int
    high: int


@dataclass(frozen=True)
class Real:
    """A real-number parameter."""

    default: float
    low: float
    high: float


@dataclass(frozen=True)
class Layers:
    """Sizes of hidden layers."""

    default: tuple[int, ...]


Declared = Whole | Real | Layers
Parameters = Mapping[str, Any]


@dataclass(frozen=True)
class FitContext:
    """Everything besides the rows that a fit depends on."""

    parameters: Parameters
    seed: int
    threads: int
    device: str
    progress: Progress


class Model(ABC, Generic[F]):
    """One of the stack's models. F is what its library calls a fitted model.

    `margin` is the output in the space that is explained: log-odds, or the probability itself.
    """

    id: ClassVar[str]
    #: Position in tables and reports.
    order: ClassVar[int]
    space: ClassVar[Space]
    inputs: ClassVar[Inputs]
    #: Allowed parameters with defaults and bounds; anything else is refused.
    declared: ClassVar[Mapping[str, Declared]]
    explained_by: ClassVar[Literal["tree", "linear", "permutation"]]
    #: What it imports when it is first used: a process loads in a second what all models need in several.
    modules: ClassVar[tuple[str, ...]]

    @property
    @abstractmethod
    def library(self) -> str:
        """Library and version that wrote an artifact; only the same version reads it back."""

    @property
    def loaded(self) -> bool:
        """Whether its library is there already."""
        return all(name in sys.modules for name in self.modules)

    def load_library(self) -> None:
        """Imports its library. Raises ImportError."""
        for name in self.modules:
            importlib.import_module(name)

    @abstractmethod
    def fit(self, x: Floats, y: Floats, context: FitContext) -> F:
        """Fits on x float32 [n, columns] and y 0/1 float32 [n]."""

    @abstractmethod
    def margin(self, fitted: F, x: Floats, threads: int) -> Doubles:
        """Output in `space` for each row, float64 [n]."""

    @abstractmethod
    def save(self, fitted: F) -> bytes:
        """Bytes that depend on nothing but the fit."""

    @abstractmethod
    def load(self, data: bytes) -> F:
        """The inverse of `save`."""

    def trees(self, fitted: F) -> int | None:  # noqa: ARG002
        """Number of trees, where there are any."""
        return None

    def explained(self, fitted: F) -> Any:
        """What SHAP gets: the library's model for `tree`, (coefficients, intercept) for `linear`."""
        return fitted

    def resolve(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Declared defaults under the given parameters. Raises InvalidInput that names the key."""
        for key in given:
            if key not in self.declared:
                allowed = ", ".join(sorted(self.declared))
                raise InvalidInput(f"{self.id}: unknown parameter '{key}'; allowed: {allowed}")
        return {
            key: _checked(f"{self.id}.{key}", declared, given.get(key, declared.default))
            for key, declared in self.declared.items()
        }


def sigmoid(margin: Doubles) -> Doubles:
    """Probability of a log-odds value; exact at both ends."""
    positive = margin >= 0
    small = np.exp(np.where(positive, -margin, margin))
    return np.where(positive, 1.0, small) / (1.0 + small)


def _checked(name: str, declared: Declared, value: Any) -> Any:
    match declared:
        case Layers():
            sizes = list(value) if isinstance(value, (list, tuple)) else [value]
            return [_number(name, size, 1, 1024, whole=True) for size in sizes]
        case Whole(low=low, high=high):
            return _number(name, value, low, high, whole=True)
        case Real(low=low, high=high):
            return _number(name, value, low, high, whole=False)


def _number(name: str, value: Any, low: float, high: float, *, whole: bool) -> int | float:
    kind = "a whole number" if whole else "a number"
    if isinstance(value, bool) or not isinstance(value, (int, float)) or (whole and value != int(value)):
        raise InvalidInput(f"parameter '{name}' must be {kind}, not {value!r}")
    if not low <= value <= high:
        raise InvalidInput(f"parameter '{name}' must be {low} to {high}, not {value!r}")
    return int(value) if whole else float(value)
