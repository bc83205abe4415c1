"""The Temporal side: validates inputs, hands work to the pool, reports progress, maps failures."""

from __future__ import annotations

import asyncio
import importlib.metadata
import logging
import time
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel
from temporalio import activity
from temporalio.exceptions import ApplicationError

from .contracts import CONTRACT, MlInfoOutput, parse_input, to_wire
from .device import cuda_devices, require_device
from .errors import InvalidInput, MlError
from .hashing import code_hash, lock_hash, platform_id
from .pool import Pool

_log = logging.getLogger("nightshift.ml")
#: A job counts as hung after this many heartbeat timeouts without progress; the server gave up at one.
_QUIET_TIMEOUTS = 1.5
_LIBRARIES = (
    "catboost",
    "lightgbm",
    "numpy",
    "polars",
    "scikit-learn",
    "scipy",
    "shap",
    "temporalio",
    "xgboost",
    "xgboost-cpu",
)


class MlActivities:
    """One method per activity of the contract; the names on the wire are camelCase."""

    def __init__(self, pool: Pool, *, threads: int) -> None:
        self._pool = pool
        self._threads = threads

    def all(self) -> list[Callable[..., Any]]:
        """What the worker registers."""
        return [
            self.ml_info,
            self.fit_fold,
            self.fit_final,
            self.fit_meta,
            self.explain_model,
            self.score,
            self.explain_signals,
        ]

    @activity.defn(name="mlInfo")
    async def ml_info(self, payload: Any = None) -> dict[str, Any]:
        """What a fit depends on besides its input; answered without a pool process."""
        _validated("mlInfo", payload or {})
        output = MlInfoOutput(
            library_versions=library_versions(),
            code_hash=code_hash(),
            lock_hash=lock_hash(),
            platform=platform_id(),
            threads=self._threads,
            cuda_available=cuda_devices() > 0,
        )
        return to_wire(output)

    @activity.defn(name="fitFold")
    async def fit_fold(self, payload: Any) -> dict[str, Any]:
        """One model on one walk-forward block."""
        return await self._run("fitFold", payload)

    @activity.defn(name="fitFinal")
    async def fit_final(self, payload: Any) -> dict[str, Any]:
        """One model on everything known at night S."""
        return await self._run("fitFinal", payload)

    @activity.defn(name="fitMeta")
    async def fit_meta(self, payload: Any) -> dict[str, Any]:
        """The stack on out-of-fold predictions."""
        return await self._run("fitMeta", payload)

    @activity.defn(name="explainModel")
    async def explain_model(self, payload: Any) -> dict[str, Any]:
        """SHAP of one model."""
        return await self._run("explainModel", payload)

    @activity.defn(name="score")
    async def score(self, payload: Any) -> dict[str, Any]:
        """Predictions of session S."""
        return await self._run("score", payload)

    @activity.defn(name="explainSignals")
    async def explain_signals(self, payload: Any) -> dict[str, Any]:
        """Reasons of issued signals."""
        return await self._run("explainSignals", payload)

    async def _run(self, name: str, payload: Any) -> dict[str, Any]:
        given = _validated(name, payload)
        info, started = activity.info(), time.perf_counter()
        quiet = info.heartbeat_timeout.total_seconds() * _QUIET_TIMEOUTS if info.heartbeat_timeout else None
        try:
            require_device(getattr(given, "device", "cpu"))
            output = await self._pool.run(name, payload, activity.heartbeat, quiet)
        except MlError as error:
            raise _application_error(error) from None
        except asyncio.CancelledError:
            _log.warning("cancelled; the process that ran it is gone")
            if activity.is_worker_shutdown():
                raise ApplicationError(f"{name}: the ML worker was stopped", type="WorkerShutdown") from None
            raise
        _log.info("%s done in %.2f s", _about(name, given, output), time.perf_counter() - started)
        return to_wire(CONTRACT[name][1].model_validate(output, by_alias=True, by_name=False))


def _about(name: str, given: BaseModel, output: dict[str, Any]) -> str:
    words = [name, getattr(given, "model", None)]
    if (block := getattr(given, "block_index", None)) is not None:
        words.append(f"block {block}")
    if output.get("fitReused"):
        words.append("(reused)")
    return " ".join(word for word in words if word)


def library_versions() -> dict[str, str]:
    """Versions of the libraries that decide results."""
    found: dict[str, str] = {}
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _validated(name: str, payload: Any) -> BaseModel:
    try:
        return parse_input(CONTRACT[name][0], payload)
    except InvalidInput as error:
        # The cause would only repeat the message, with a page of its own.
        raise _application_error(error) from None


def _application_error(error: MlError) -> ApplicationError:
    return ApplicationError(str(error), type=type(error).__name__, non_retryable=not error.retryable)
