"""No process outlives its parent: pool processes, and the worker itself."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import pytest
from support.night import fit_input
from support.processes import eventually, is_gone, read_lines, started

from nightshift_ml.artifacts import ArtifactStore
from nightshift_ml.errors import InvalidInput
from nightshift_ml.settings import Settings

#: How long an end is waited for. It takes a fraction of a second, but other suites share the machine.
PATIENCE_SECONDS = 30

_OWNER = """
import asyncio, json, sys
from nightshift_ml.pool import Pool

async def main():
    async with Pool(sys.argv[1], size=1, threads=2) as pool:
        def report(progress):
            print(json.dumps({"pid": pool.pids[0], **progress}), flush=True)
        await pool.ready()
        await pool.run("fitFold", json.loads(sys.argv[2]), report)

asyncio.run(main())
"""


def test_a_killed_owner_leaves_no_pool_process(store: ArtifactStore, dataset_hash: str) -> None:
    given = fit_input(dataset_hash, "catboost", blockIndex=0, parameters={"trees": 5000, "depth": 10})
    with started("-c", _OWNER, store.url, json.dumps(given)) as owner:
        line = next(line for line in read_lines(owner) if line["phase"] == "fit")
        assert not is_gone(line["pid"])
        os.kill(owner.pid, signal.SIGKILL)
        assert eventually(lambda: is_gone(line["pid"]), PATIENCE_SECONDS)


def test_the_worker_waits_for_temporal_and_stops_on_sigterm(tmp_path: Path) -> None:
    env = {"ARTIFACT_URL": f"file://{tmp_path}", "TEMPORAL_ADDRESS": "127.0.0.1:9"}
    with started("-m", "nightshift_ml.worker", **env) as worker:
        lines = read_lines(worker)
        versions = next(lines)
        assert versions["level"] == "INFO"
        package = metadata.version("tzdata")
        assert versions["msg"] == f"versions: python {platform.python_version()}, tzdata {package}"
        line = next(line for line in lines if "cannot reach Temporal" in line["msg"])
        assert set(line) == {"ts", "level", "logger", "msg"}
        assert line["level"] == "WARNING"
        assert "127.0.0.1:9" in line["msg"]
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(PATIENCE_SECONDS) == 0


def test_the_worker_ends_with_the_process_it_was_given(tmp_path: Path) -> None:
    """The parent of its parent: the kernel's own death signal does not cover this case."""
    parent = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    env = {
        "ARTIFACT_URL": f"file://{tmp_path}",
        "TEMPORAL_ADDRESS": "127.0.0.1:9",
        "NIGHTSHIFT_PARENT_PID": str(parent.pid),
    }
    try:
        with started("-m", "nightshift_ml.worker", **env) as worker:
            next(line for line in read_lines(worker) if "cannot reach" in line["msg"])
            children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
            assert children
            parent.kill()
            parent.wait()
            assert worker.wait(PATIENCE_SECONDS) == 1
            assert eventually(lambda: all(is_gone(int(pid)) for pid in children), PATIENCE_SECONDS)
    finally:
        parent.kill()
        parent.wait()


_STARTER = """
import os, subprocess, sys, time
child = subprocess.Popen(
    [sys.executable, "-m", "nightshift_ml.worker"],
    env={**os.environ, "NIGHTSHIFT_PARENT_PID": str(os.getpid())},
    stdout=subprocess.DEVNULL,
)
print('{"pid": %d}' % child.pid, flush=True)
time.sleep(60)
"""


def test_a_killed_parent_takes_the_worker_along(tmp_path: Path) -> None:
    env = {"ARTIFACT_URL": f"file://{tmp_path}", "TEMPORAL_ADDRESS": "127.0.0.1:9"}
    with started("-c", _STARTER, **env) as parent:
        pid = next(read_lines(parent))["pid"]
        time.sleep(0.3)  # long before its pool is up: the worker must not be missed while it starts
        parent.kill()
        parent.wait()
        assert eventually(lambda: is_gone(pid), PATIENCE_SECONDS)


def test_wrong_environment_is_named() -> None:
    with started("-m", "nightshift_ml.worker", ARTIFACT_URL="") as worker:
        line = next(read_lines(worker))
        assert "ARTIFACT_URL is not set" in line["msg"]
        assert worker.wait(PATIENCE_SECONDS) == 2
    with pytest.raises(InvalidInput, match="NIGHTSHIFT_ML_SLOTS must be a whole number from 1 on"):
        Settings.from_env({"ARTIFACT_URL": "file:///x", "NIGHTSHIFT_ML_SLOTS": "0"})
    settings = Settings.from_env({"ARTIFACT_URL": "file:///x"})
    assert (settings.slots, settings.threads, settings.task_queue) == (1, 2, "ml")
    assert settings.parent_pid is None
