"""JSON lines: one object a line, with the activity's identity inside an activity."""

from __future__ import annotations

import json
import logging
import sys

from temporalio.testing import ActivityEnvironment

from nightshift_ml.logs import JsonFormatter


def record(message: str, *arguments: object, error: BaseException | None = None) -> logging.LogRecord:
    info = (type(error), error, error.__traceback__) if error is not None else None
    return logging.LogRecord("nightshift.ml", logging.INFO, __file__, 1, message, arguments, info)


def test_line_outside_an_activity() -> None:
    line = json.loads(JsonFormatter().format(record('said "%s"\nand more', "é")))
    assert line == {
        "ts": line["ts"],
        "level": "INFO",
        "logger": "nightshift.ml",
        "msg": 'said "é"\nand more',
    }
    assert line["ts"].endswith("+00:00")


def test_line_inside_an_activity_names_it() -> None:
    def work() -> str:
        return JsonFormatter().format(record("fitted"))

    env = ActivityEnvironment()
    line = json.loads(env.run(work))
    assert line["workflowId"] == env.info.workflow_id
    assert line["runId"] == env.info.workflow_run_id
    assert line["activity"] == env.info.activity_type
    assert line["attempt"] == env.info.attempt


def test_errors_stay_on_one_line() -> None:
    try:
        raise ValueError("wrong")
    except ValueError:
        error = sys.exception() if hasattr(sys, "exception") else sys.exc_info()[1]
    text = JsonFormatter().format(record("failed", error=error))
    assert "\n" not in text
    assert "ValueError: wrong" in json.loads(text)["error"]
