"""JSON lines on standard output; the runtime alone writes log files."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from temporalio import activity


class JsonFormatter(logging.Formatter):
    """{ts, level, logger, msg} and, inside an activity, {workflowId, runId, activity, attempt}."""

    def format(self, record: logging.LogRecord) -> str:
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
                "activity": info.activity_type,
                "attempt": info.attempt,
            }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def configure_logging(level: int = logging.INFO) -> None:
    """Root logger to standard output as JSON lines."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    activity.logger.activity_info_on_message = False
