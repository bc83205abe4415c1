"""JSON lines: one object a line, with the activity's identity inside an activity."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from temporalio.converter import DataConverter
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from nightshift_ml.logs import DocumentFiles, JsonFormatter, document_line, file_of
from nightshift_ml.run_context import RunContextInterceptor, run_context
from nightshift_ml.settings import Settings

#: Lines of this worker and what goes into files for them; the TypeScript tests read the same.
LINES = json.loads((Path(__file__).parent / "reference" / "log_lines.json").read_text("utf-8"))


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


def test_zones_are_those_of_the_pinned_package_whatever_the_system_has(tmp_path: Path) -> None:
    """A system whose New York is Tokyo, say."""
    zone = tmp_path / "America" / "New_York"
    zone.parent.mkdir()
    zone.write_bytes((files("tzdata") / "zoneinfo" / "Asia" / "Tokyo").read_bytes())
    line = {"ts": "2018-02-07T17:00:00+00:00", "level": "INFO", "logger": "x", "msg": "noon"}
    code = f"from nightshift_ml.logs import document_line; print(document_line({line!r}))"
    env = {**os.environ, "PYTHONTZPATH": str(tmp_path), "PYTHONPATH": str(Path(__file__).parent.parent)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "[2018-02-07 12:00:00,000] x - INFO - noon\n"


@pytest.mark.parametrize("case", LINES, ids=[case["line"]["msg"][:9] for case in LINES])
def test_files_have_the_lines_of_the_documents(case: dict[str, Any]) -> None:
    assert document_line(case["line"]) == case["document"]
    assert file_of(case["line"]) == case["file"]


def test_each_task_has_its_file(tmp_path: Path) -> None:
    files = DocumentFiles(tmp_path / "ml-1")
    files.emit(record("outside"))
    env = ActivityEnvironment()
    env.info = replace(env.info, workflow_id="training/2018-02-06/tiny")
    env.run(lambda: files.emit(record("inside")))
    assert names(tmp_path / "ml-1") == ["scheduler.log", "task_2_training_orchestrator.log"]
    assert (tmp_path / "ml-1" / "scheduler.log").read_text().endswith("] nightshift.ml - INFO - outside\n")
    inside = (tmp_path / "ml-1" / "task_2_training_orchestrator.log").read_text()
    assert '- INFO - inside {"workflowId":"training/2018-02-06/tiny"' in inside


@pytest.mark.parametrize(
    ("workflow", "name", "backups"), [("", "scheduler.log", 10), ("backtest", "task_4", 5)]
)
def test_files_rotate_and_lose_no_line_between_the_backups(
    tmp_path: Path, workflow: str, name: str, backups: int
) -> None:
    files = DocumentFiles(tmp_path, max_bytes=400)
    env = ActivityEnvironment()
    env.info = replace(env.info, workflow_id=f"{workflow}/2018-02-06/tiny")

    def write() -> None:
        for number in range(60):
            files.emit(record(f"line {number:03d} " + "x" * 120))

    env.run(write)
    written = sorted(tmp_path.iterdir(), key=lambda path: int(path.suffix.removeprefix(".log")[1:] or 0))
    assert len(written) == backups + 1
    assert all(path.name.startswith(name) and path.stat().st_size <= 400 for path in written)
    text = "".join(path.read_text() for path in reversed(written))
    numbers = [int(line.split("line ")[1][:3]) for line in text.splitlines()]
    assert numbers == list(range(60 - len(numbers), 60))


def test_goes_on_after_its_folder_was_removed(tmp_path: Path) -> None:
    files = DocumentFiles(tmp_path / "gone")
    files.emit(record("one"))
    (tmp_path / "gone" / "scheduler.log").unlink()
    (tmp_path / "gone").rmdir()
    files.emit(record("two"))
    assert "two" in (tmp_path / "gone" / "scheduler.log").read_text()


def test_a_folder_that_cannot_be_written_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    files = DocumentFiles(tmp_path / "file")
    files.emit(record("one"))
    files.emit(record("two"))
    (line,) = capsys.readouterr().out.splitlines()
    assert "log files cannot be written" in json.loads(line)["msg"]


def test_a_worker_on_its_own_has_a_folder_of_its_own() -> None:
    def folder(**env: str) -> Path | None:
        return Settings.from_env({"ARTIFACT_URL": "file:///x", **env}).log_folder

    assert folder() is None
    assert folder(NIGHTSHIFT_LOG_DIR="/logs", NIGHTSHIFT_PARENT_PID="1") is None
    assert folder(NIGHTSHIFT_LOG_DIR="/logs", NIGHTSHIFT_WORKER_NAME="ml-2") == Path("/logs/ml-2")
    assert folder(NIGHTSHIFT_LOG_DIR="/logs", NIGHTSHIFT_WORKER_NAME="../é/x") == Path("/logs/____x")
    nameless = folder(NIGHTSHIFT_LOG_DIR="/logs")
    assert nameless is not None
    assert nameless.name.startswith("ml-")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_line_inside_an_activity_says_which_run_it_is_part_of() -> None:
    said: list[dict[str, Any]] = []

    class Innermost(ActivityInboundInterceptor):
        def __init__(self) -> None:
            pass

        async def execute_activity(self, input: ExecuteActivityInput) -> Any:
            said.append(json.loads(JsonFormatter().format(record("fitted"))))
            return input.args

    async def run(*values: object) -> None:
        payloads = DataConverter.default.payload_converter.to_payloads(values)
        headers = dict(zip(["nightshift-run"], payloads, strict=False))
        work = RunContextInterceptor().intercept_activity(Innermost())
        await work.execute_activity(ExecuteActivityInput(fn=run, args=[], executor=None, headers=headers))
        # As the SDK does when an activity failed.
        after = json.loads(JsonFormatter().format(record("completing")))
        assert {**after, "ts": 0, "msg": ""} == {**said[-1], "ts": 0, "msg": ""}

    async def all_forms() -> None:
        env = ActivityEnvironment()
        await env.run(run, {"sessionDate": "2018-02-07", "taskRunId": "t1", "other": 1})
        await env.run(run, "of another form")
        await env.run(run)

    asyncio.run(all_forms())
    runs = [(line.get("sessionDate"), line.get("taskRunId")) for line in said]
    assert runs == [("2018-02-07", "t1"), (None, None), (None, None)]
    assert "other" not in said[0]
    assert run_context() == {}
