"""The Temporal side with real pool processes: heartbeats, cancellation, crashes, failure types."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.market import Market, build_market
from support.night import MODEL_IDS, fit_input
from support.processes import is_gone
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from nightshift_ml.activities import MlActivities
from nightshift_ml.artifacts import ArtifactStore
from nightshift_ml.errors import FitFailed
from nightshift_ml.hashing import sha256_hex
from nightshift_ml.pool import Pool

#: Tree counts that take far longer than any test waits.
LONG: dict[str, dict[str, Any]] = {
    "lightgbm": {"trees": 5000, "leaves": 1000, "minRowsPerLeaf": 1},
    "catboost": {"trees": 5000, "depth": 10},
    "histGradientBoosting": {"trees": 5000, "leaves": 1000, "minRowsPerLeaf": 1},
    "randomForest": {"trees": 5000, "depth": 32, "minRowsPerLeaf": 1},
    "mlp": {"epochs": 1000, "batchRows": 8, "hiddenLayers": [256, 256]},
}


@dataclass
class Bench:
    """One pool and one event loop for the whole file: a process takes a second or two to load a library."""

    store: ArtifactStore
    dataset_hash: str
    pool: Pool
    activities: MlActivities
    runner: asyncio.Runner

    def run(self, scenario: Coroutine[Any, Any, None]) -> None:
        self.runner.run(scenario)

    def fit_input(self, model: str, **over: Any) -> dict[str, Any]:
        return fit_input(self.dataset_hash, model, **over)

    @property
    def pid(self) -> int:
        (pid,) = self.pool.pids
        return pid


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    store = ArtifactStore(f"file://{tmp_path_factory.mktemp('pool')}")
    pool = Pool(store.url, size=1, threads=2)
    with asyncio.Runner() as runner:
        runner.run(pool.__aenter__())
        name = build_market(Market()).write(store)
        yield Bench(store, name, pool, MlActivities(pool, threads=2), runner)
        pids = pool.pids
        runner.run(pool.__aexit__())
        assert all(is_gone(pid) for pid in pids)


def environment(beats: list[dict[str, Any]] | None = None) -> ActivityEnvironment:
    env = ActivityEnvironment()
    env.on_heartbeat = lambda *details: beats.append(details[0]) if beats is not None else None
    return env


async def until_fitting(beats: list[dict[str, Any]]) -> None:
    for _ in range(3000):
        if any(beat["phase"] == "fit" for beat in beats):
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"no progress of a fit: {beats}")


def test_a_fit_heartbeats_its_real_progress(bench: Bench) -> None:
    async def scenario() -> None:
        beats: list[dict[str, Any]] = []
        given = bench.fit_input("xgboost", blockIndex=0, parameters={"trees": 400, "depth": 8})
        out = await environment(beats).run(bench.activities.fit_fold, given)
        assert out["trees"] == 400
        fit = [beat["done"] for beat in beats if beat["phase"] == "fit"]
        assert len(fit) >= 2
        assert fit == sorted(fit)
        assert {beat["total"] for beat in beats if beat["phase"] == "fit"} == {400}
        phases = list(dict.fromkeys(beat["phase"] for beat in beats))
        assert phases == ["start", "load", "prepare", "bin", "fit", "store", "predict"]

    bench.run(scenario())


@pytest.mark.parametrize("model", ["lightgbm", "histGradientBoosting"])
def test_cancelling_a_long_fit_ends_its_process(bench: Bench, model: str) -> None:
    async def scenario() -> None:
        beats: list[dict[str, Any]] = []
        env = environment(beats)
        given = bench.fit_input(model, blockIndex=0, parameters=LONG[model])
        running = asyncio.create_task(env.run(bench.activities.fit_fold, given))
        await until_fitting(beats)
        pid = bench.pid
        assert not is_gone(pid)
        env.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(running, 10)
        assert is_gone(pid)
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        # Its replacement is warm for the next one, and finds nothing of the killed fit.
        given = bench.fit_input(model, blockIndex=0)
        assert not (await environment().run(bench.activities.fit_fold, given))["fitReused"]

    bench.run(scenario())


def test_a_worker_that_stops_says_so_in_a_retryable_failure(bench: Bench) -> None:
    async def scenario() -> None:
        beats: list[dict[str, Any]] = []
        env = environment(beats)
        given = bench.fit_input("mlp", parameters=LONG["mlp"])
        running = asyncio.create_task(env.run(bench.activities.fit_final, given))
        await until_fitting(beats)
        env.worker_shutdown()
        env.cancel()
        with pytest.raises(ApplicationError, match="the ML worker was stopped") as caught:
            await running
        assert caught.value.type == "WorkerShutdown"
        assert not caught.value.non_retryable

    bench.run(scenario())


def test_a_crashed_process_fails_the_fit_retryably_and_is_replaced(bench: Bench) -> None:
    async def scenario() -> None:
        beats: list[dict[str, Any]] = []
        given = bench.fit_input("randomForest", blockIndex=0, parameters=LONG["randomForest"])
        running = asyncio.create_task(environment(beats).run(bench.activities.fit_fold, given))
        await until_fitting(beats)
        crashed = bench.pid
        os.kill(crashed, signal.SIGKILL)
        with pytest.raises(ApplicationError, match="ended with signal 9") as caught:
            await running
        assert caught.value.type == "FitFailed"
        assert not caught.value.non_retryable
        given = bench.fit_input("extraTrees", blockIndex=0)
        assert (await environment().run(bench.activities.fit_fold, given))["trees"] == 15
        # One that dies while idle is replaced too.
        idle = bench.pid
        assert idle != crashed
        os.kill(idle, signal.SIGKILL)
        while bench.pool.pids:
            await asyncio.sleep(0.01)
        assert (await environment().run(bench.activities.fit_fold, given))["fitReused"]

    bench.run(scenario())


def test_a_hung_process_is_killed(bench: Bench) -> None:
    async def scenario() -> None:
        beats: list[dict[str, Any]] = []
        env = environment(beats)
        env.info = replace(env.info, heartbeat_timeout=timedelta(seconds=2))
        given = bench.fit_input("catboost", blockIndex=0, parameters=LONG["catboost"])
        running = asyncio.create_task(env.run(bench.activities.fit_fold, given))
        await until_fitting(beats)
        pid = bench.pid
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(ApplicationError, match="no progress for 3 s") as caught:
            await asyncio.wait_for(running, 15)
        assert caught.value.type == "FitFailed"
        assert is_gone(pid)

    bench.run(scenario())


@pytest.mark.parametrize("moment", ["store", "predict"])
def test_a_kill_between_the_writes_leaves_nothing_half_written(bench: Bench, moment: str) -> None:
    folder = Path(bench.store.url.removeprefix("file://"))
    first = 60 if moment == "store" else 160

    def kill(progress: dict[str, Any]) -> None:
        if progress["phase"] == moment:
            os.kill(bench.pid, signal.SIGKILL)

    async def killed() -> dict[str, Any]:
        # What hears of the phase may come too late on a busy machine: then another fit is tried.
        for trees in range(first, first + 20):
            given = bench.fit_input("catboost", blockIndex=0, parameters={"trees": trees})
            try:
                await bench.pool.run("fitFold", given, kill)
            except FitFailed as failure:
                if "ended with signal 9" not in str(failure):
                    raise
                return given
            while bench.pool.pids:
                await asyncio.sleep(0.01)
        pytest.fail("no kill was in time")

    async def scenario() -> None:
        given = await killed()
        for path in folder.glob("objects/*/*"):
            if "#" not in path.name:  # staging files of the killed writer are never read
                assert sha256_hex(path.read_bytes()) == path.name
        out = await bench.pool.run("fitFold", given, lambda _: None)
        assert sha256_hex(bench.store.get(out["modelHash"])) == out["modelHash"]
        if moment == "predict":
            assert out["fitReused"]
        again = await bench.pool.run("fitFold", given, lambda _: None)
        assert again == {**out, "fitReused": True, "predictionsReused": True}

    bench.run(scenario())


def test_failures_have_their_types_on_the_wire(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    spoiled = build_market(Market())
    spoiled.manifest["blocks"][1]["trainLastSessionIndex"] += 1
    leaky = spoiled.write(bench.store)
    monkeypatch.setattr("nightshift_ml.device.cuda_devices", lambda: 0)

    async def fails(given: Any, kind: str, non_retryable: bool, match: str) -> None:
        with pytest.raises(ApplicationError, match=match) as caught:
            await environment().run(bench.activities.fit_fold, given)
        assert (caught.value.type, caught.value.non_retryable) == (kind, non_retryable)

    async def scenario() -> None:
        good = bench.fit_input("lightgbm", blockIndex=1)
        await environment().run(bench.activities.fit_fold, good)
        pid = bench.pid
        await fails({**good, "surprise": 1}, "InvalidInput", True, "surprise")
        await fails(None, "InvalidInput", True, "FitFold")
        await fails({**good, "parameters": {"depth": 2}}, "InvalidInput", True, "unknown parameter 'depth'")
        await fails({**good, "device": "cuda"}, "DeviceUnavailable", True, "no GPU")
        await fails({**good, "datasetHash": "0" * 64}, "ArtifactMissing", False, "is not in")
        await fails({**good, "datasetHash": leaky}, "DataDefect", True, "block 1: training session")
        await environment().run(bench.activities.fit_fold, {**good, "blockIndex": 0})
        assert bench.pid == pid, "a failed job must not cost the process"

    bench.run(scenario())


def test_ml_info_needs_no_process() -> None:
    async def scenario() -> dict[str, Any]:
        pool = Pool("file:///nowhere", size=1, threads=2)  # never started
        return await environment().run(MlActivities(pool, threads=2).ml_info, {})

    info = asyncio.run(scenario())
    assert info["libraryVersions"]["lightgbm"] == "4.7.0"
    root = Path(__file__).resolve().parents[1]
    assert info["lockHash"] == sha256_hex((root / "requirements.lock").read_bytes())
    assert len(info["codeHash"]) == 64
    assert info["platform"].startswith(("linux-", "darwin-"))
    assert info["threads"] == 2
    assert isinstance(info["cudaAvailable"], bool)


def test_two_slots_run_two_jobs_at_a_time(bench: Bench) -> None:
    async def scenario() -> None:
        async with Pool(bench.store.url, size=2, threads=1) as pool:
            activities = MlActivities(pool, threads=1)
            jobs = [
                environment().run(activities.fit_fold, bench.fit_input(model, blockIndex=0, threads=1))
                for model in MODEL_IDS[4:]
            ]
            outs = await asyncio.gather(*jobs)
            assert len({out["modelHash"] for out in outs}) == 4
            pids = pool.pids
            assert len(pids) == 2
        assert all(is_gone(pid) for pid in pids)

    bench.run(scenario())
