"""JSON lines on standard output; log files only where no runtime writes them for this worker."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from temporalio import activity

from .run_context import run_context
from .tracing import trace_ids

#: The documents' files, by the task that ids of workflows begin with; the TypeScript side has the same.
TASK_FILES = {
    "ingestion": "task_1_master_market_data_ingestion.log",
    "training": "task_2_training_orchestrator.log",
    "overnightScan": "task_3_overnight_scanner.log",
    "backtest": "task_4_backtest_data_generator.log",
    "driftMonitoring": "task_5_drift_monitoring.log",
    "weeklyMaintenance": "task_6_weekly_maintenance.log",
}
SCHEDULER_FILE = "scheduler.log"
_MAX_BYTES = 10 * 1024 * 1024
_TASK_BACKUPS = 5
_SCHEDULER_BACKUPS = 10
# The pinned package, not the files of whatever system this is.
with (files("tzdata") / "zoneinfo" / "America" / "New_York").open("rb") as _zone:
    _NEW_YORK = ZoneInfo.from_file(_zone, key="America/New_York")


def line_of(record: logging.LogRecord) -> dict[str, Any]:
    """{ts, level, logger, msg} and, inside an activity, its ids, its name and its attempt."""
    line: dict[str, Any] = {
        "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname,
        "logger": record.name,
        "msg": record.getMessage(),
    }
    if activity.in_activity():
        info = activity.info()
        line |= {
            "workflowId": info.workflow_id,
            "runId": info.workflow_run_id,
            **run_context(),
            **trace_ids(),
            "activity": info.activity_type,
            "attempt": info.attempt,
        }
    if record.exc_info:
        line["error"] = logging.Formatter().formatException(record.exc_info)
    return line


def document_line(line: dict[str, Any]) -> str:
    """`[timestamp] logger - LEVEL - message` in New York time; further lines of a message are indented."""
    fields = {name: value for name, value in line.items() if name not in ("ts", "level", "logger", "msg")}
    extra = f" {_dumps(fields, separators=(',', ':'))}" if fields else ""
    message = f"{line['msg']}{extra}".rstrip().replace("\n", "\n    ")
    at = datetime.fromisoformat(line["ts"]).astimezone(_NEW_YORK)
    stamp = f"{at:%Y-%m-%d %H:%M:%S},{at.microsecond // 1000:03d}"
    return f"[{stamp}] {line['logger']} - {line['level']} - {message}"


def file_of(line: dict[str, Any]) -> str:
    """Name of the file a line belongs to: that of the run's task, else the scheduler's."""
    task, slash, _ = str(line.get("workflowId", "")).partition("/")
    return TASK_FILES.get(task, SCHEDULER_FILE) if slash else SCHEDULER_FILE


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        return _dumps(line_of(record))


class DocumentFiles(logging.Handler):
    """Files per task in a folder that is this worker's alone; a disk that is full or closed ends no work."""

    def __init__(self, folder: Path, *, max_bytes: int = _MAX_BYTES) -> None:
        super().__init__()
        self._folder = folder
        self._max_bytes = max_bytes
        self._failing = False

    def emit(self, record: logging.LogRecord) -> None:
        line = line_of(record)
        try:
            self._write(file_of(line), document_line(line))
            self._failing = False
        except OSError as error:
            if not self._failing:
                line |= {"level": "WARNING", "msg": f"log files cannot be written: {error}"}
                sys.stdout.write(f"{_dumps(line)}\n")
            self._failing = True

    def _write(self, name: str, text: str) -> None:
        # Opened for each line: a file, or a whole folder, that maintenance removed is begun again.
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / name
        data = f"{text}\n".encode()
        size = path.stat().st_size if path.exists() else 0
        if size > 0 and size + len(data) > self._max_bytes:
            _rotate(path, _SCHEDULER_BACKUPS if name == SCHEDULER_FILE else _TASK_BACKUPS)
        with path.open("ab") as file:
            file.write(data)


def _rotate(path: Path, backups: int) -> None:
    """x.log becomes x.log.1, that x.log.2, and so on; the oldest goes."""
    for number in range(backups - 1, 0, -1):
        older = path.with_name(f"{path.name}.{number}")
        if older.exists():
            older.replace(path.with_name(f"{path.name}.{number + 1}"))
    path.replace(path.with_name(f"{path.name}.1"))


def _dumps(value: dict[str, Any], *, separators: tuple[str, str] | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, default=str, separators=separators)


def configure_logging(level: int = logging.INFO) -> None:
    """Root logger to standard output as JSON lines."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    activity.logger.activity_info_on_message = False


def write_files(folder: Path) -> None:
    """The same lines go to files of this folder too, for a worker that runs on its own."""
    logging.getLogger().addHandler(DocumentFiles(folder))
