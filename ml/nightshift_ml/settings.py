"""The worker's environment, read in one place."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from .errors import InvalidInput


@dataclass(frozen=True)
class Settings:
    """`TEMPORAL_*` is read by the SDK itself (temporalio.envconfig)."""

    artifact_url: str
    #: Activities at a time; each fit uses its own `threads`, so slots x threads should not exceed the cores.
    slots: int
    #: Default OpenMP threads of a pool process.
    threads: int
    task_queue: str
    #: How long running activities may go on after SIGTERM.
    grace_seconds: float
    #: The process whose death ends this one.
    parent_pid: int | None
    #: First part of the identity that Temporal shows: which worker ran an activity.
    name: str
    #: Login of the role `ml`, for liveness alone; None: outages of this worker are not recorded.
    database_url: str | None
    #: This worker's own folder of log files; None: whoever started it writes them, or no folder is named.
    log_folder: Path | None
    #: Where spans are posted; None: no traces.
    traces_url: str | None

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Settings:
        """Raises InvalidInput that names the variable."""
        url = env.get("ARTIFACT_URL", "")
        if not url:
            raise InvalidInput("ARTIFACT_URL is not set (file:///folder or s3://bucket/prefix)")
        parent = _number(env, "NIGHTSHIFT_PARENT_PID", 0, 0)
        return cls(
            artifact_url=url,
            slots=_number(env, "NIGHTSHIFT_ML_SLOTS", 1, 1),
            threads=_number(env, "NIGHTSHIFT_ML_THREADS", 2, 1),
            task_queue=env.get("NIGHTSHIFT_ML_TASK_QUEUE", "ml"),
            grace_seconds=_number(env, "NIGHTSHIFT_ML_GRACE_SECONDS", 5, 0),
            parent_pid=parent or None,
            name=env.get("NIGHTSHIFT_WORKER_NAME", "") or "ml",
            database_url=env.get("NIGHTSHIFT_DB_URL_ML", "").strip() or None,
            log_folder=None if parent else _own_log_folder(env),
            traces_url=_traces_url(env),
        )


def _traces_url(env: Mapping[str, str]) -> str | None:
    name = "OTEL_EXPORTER_OTLP_ENDPOINT"
    url = env.get(name, "").strip()
    if not url or env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise InvalidInput(f"{name} must be an http or https URL, such as http://127.0.0.1:4318")
    return f"{url.rstrip('/')}/v1/traces"


def _own_log_folder(env: Mapping[str, str]) -> Path | None:
    """Below NIGHTSHIFT_LOG_DIR. Containers of one service have the same settings: their hosts differ."""
    root = env.get("NIGHTSHIFT_LOG_DIR", "").strip()
    if not root:
        return None
    name = env.get("NIGHTSHIFT_WORKER_NAME", "").strip() or f"ml-{socket.gethostname()}"
    # One folder below the root, whatever somebody called the worker.
    return Path(root) / re.sub(r"^\.+", "_", re.sub(r"[^\w.-]", "_", name, flags=re.ASCII))


def _number(env: Mapping[str, str], name: str, default: int, low: int) -> int:
    text = env.get(name, "").strip()
    if not text:
        return default
    if not text.isdigit() or int(text) < low:
        raise InvalidInput(f"{name} must be a whole number from {low} on, not {text!r}")
    return int(text)
