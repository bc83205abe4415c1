"""Registry of models: every public module here has one `MODEL`. Adding a model = adding a file."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import Any

from ..errors import InvalidInput
from ._base import Model


@cache
def registry() -> dict[str, Model[Any]]:
    """Models by id, in report order. Raises ImportError when two files claim one id or position."""
    found: dict[str, Model[Any]] = {}
    for info in pkgutil.iter_modules(__path__):
        if info.name.startswith("_"):
            continue
        model = importlib.import_module(f"{__name__}.{info.name}").MODEL
        if model.id in found or model.order in {other.order for other in found.values()}:
            raise ImportError(f"models/{info.name}.py: id {model.id!r} or order {model.order} is taken")
        found[model.id] = model
    return dict(sorted(found.items(), key=lambda item: item[1].order))


def get_model(model_id: str) -> Model[Any]:
    """The model of that id. Raises InvalidInput."""
    models = registry()
    if model_id not in models:
        raise InvalidInput(f"unknown model '{model_id}'; known: {', '.join(models)}")
    return models[model_id]
