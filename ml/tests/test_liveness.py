"""Beats with nobody to write to. With a real Postgres: tests/integration/ml-liveness.test.ts."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from support.processes import ML, eventually, read_lines, started

from nightshift_ml import worker
from nightshift_ml.liveness import Liveness
from nightshift_ml.settings import Settings

#: Nothing listens there.
NOWHERE = "postgres://nightshift_ml:secret@127.0.0.1:9/nightshift"


@pytest.mark.parametrize(
    "url",
    [
        NOWHERE,
        "postgres://nightshift_ml:secret@[oops/nightshift",
        "postgre://nightshift_ml:secret@127.0.0.1:9/nightshift",
        "postgres://nightshift_ml:secret %zz@127.0.0.1:9/nightshift",
        "postgres://nightshift_ml:secret%zz@127.0.0.1:9/nightshift",
    ],
)
def test_a_loss_is_one_line_without_the_password(url: str, caplog: pytest.LogCaptureFixture) -> None:
    asked: list[None] = []
    liveness = Liveness(url, reach=lambda: asked.append(None), beat_seconds=0.01)
    with caplog.at_level(logging.INFO, "nightshift.ml.liveness"):
        liveness.start()
        # It goes on trying, quietly.
        assert eventually(lambda: len(asked) > 3)
        liveness.stop()
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert "liveness is not recorded" in record.message
    assert "secret" not in record.message


def test_no_beat_while_the_server_is_out_of_reach(caplog: pytest.LogCaptureFixture) -> None:
    def reach() -> None:
        raise TimeoutError

    liveness = Liveness(NOWHERE, reach=reach, beat_seconds=0.01)
    with caplog.at_level(logging.INFO, "nightshift.ml.liveness"):
        liveness.start()
        assert eventually(lambda: len(caplog.records) == 1)
        liveness.stop()
    # The database was not even tried.
    assert "TimeoutError" in caplog.records[0].message


def test_a_beat_that_hangs_delays_neither_stop_nor_exit(tmp_path: Path) -> None:
    hanging = threading.Event()

    def hang() -> None:
        hanging.wait(60)

    liveness = Liveness(NOWHERE, reach=hang)
    liveness.start()
    before = time.monotonic()
    liveness.stop()
    assert time.monotonic() - before < 5
    hanging.set()

    script = tmp_path / "hang.py"
    script.write_text(
        "import time\nfrom nightshift_ml.liveness import Liveness\n"
        f"Liveness({NOWHERE!r}, reach=lambda: time.sleep(600)).start()\nprint('{{}}', flush=True)\n"
    )
    with started(str(script), PYTHONPATH=str(ML)) as process:
        next(read_lines(process))
        assert process.wait(30) == 0


def test_the_login_comes_from_the_environment_and_is_optional() -> None:
    bare = Settings.from_env({"ARTIFACT_URL": "file:///x"})
    assert (bare.name, bare.database_url) == ("ml", None)
    given = Settings.from_env(
        {"ARTIFACT_URL": "file:///x", "NIGHTSHIFT_DB_URL_ML": NOWHERE, "NIGHTSHIFT_WORKER_NAME": "ml-2"}
    )
    assert (given.name, given.database_url) == ("ml-2", NOWHERE)


def test_log_lines_stay_json(caplog: pytest.LogCaptureFixture) -> None:
    """A message with quotes and line breaks of libpq is still one line."""
    from nightshift_ml.logs import JsonFormatter

    liveness = Liveness(NOWHERE, reach=lambda: None, beat_seconds=0.01)
    with caplog.at_level(logging.INFO, "nightshift.ml.liveness"):
        liveness.start()
        assert eventually(lambda: len(caplog.records) == 1)
        liveness.stop()
    line = JsonFormatter().format(caplog.records[0])
    assert "\n" not in line
    assert json.loads(line)["logger"] == "nightshift.ml.liveness"


def test_without_a_login_the_worker_says_so_once_and_serves(caplog: pytest.LogCaptureFixture) -> None:
    nobody: Any = None

    async def serve() -> str:
        async with worker._beating(nobody, None):
            return "served"

    with caplog.at_level(logging.INFO):
        assert asyncio.run(serve()) == "served"
    [record] = caplog.records
    assert record.message == "NIGHTSHIFT_DB_URL_ML is not set: outages of this worker are not recorded"
