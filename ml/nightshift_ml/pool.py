"""Pool of processes: a fit can be killed at any moment, and the next one finds a process that is up."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from .artifacts import ArtifactCorrupt
from .errors import FAILURES, DataDefect, FitFailed
from .hashing import PACKAGE
from .pool_child import LOAD

_log = logging.getLogger("nightshift.ml.pool")
_LINE_BYTES = 64 * 1024 * 1024

#: A process that has not loaded its libraries by then is given up.
_LONGEST_LOAD_SECONDS = 180

OnProgress = Callable[[dict[str, Any]], None]


class PoolProcess:
    """One process and the socket to it."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer

    @classmethod
    async def start(cls, artifact_url: str, threads: int) -> PoolProcess:
        """Starts a process; `load` waits until it can take a job."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "nightshift_ml.pool_child",
                str(theirs.fileno()),
                str(os.getpid()),
                artifact_url,
                pass_fds=[theirs.fileno()],
                env=_child_env(threads),
                stdin=asyncio.subprocess.DEVNULL,
                # Standard output carries the worker's JSON lines only; a library's stray line goes to stderr.
                stdout=2,
            )
        reader, writer = await asyncio.open_connection(sock=ours, limit=_LINE_BYTES)
        return cls(process, reader, writer)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """False once it ended."""
        return self._process.returncode is None

    async def load(self) -> None:
        """Waits until what every job needs is loaded. Raises FitFailed when the process dies first."""
        ready = await self._receive("start", None)
        _log.info("pool process %d loaded in %s s", self.pid, ready["ready"]["seconds"])

    async def run(
        self, job: str, payload: Any, on_progress: OnProgress, quiet_seconds: float | None
    ) -> dict[str, Any]:
        """Runs one job; its progress goes to `on_progress`. Raises MlError, FitFailed when the process dies.

        `quiet_seconds`: how long the process may show no progress before it counts as hung.
        """
        self._writer.write(json.dumps({"job": job, "input": payload}).encode() + b"\n")
        while True:
            message = await self._receive(job, quiet_seconds)
            if "progress" in message:
                on_progress(message["progress"])
            elif "output" in message:
                output: dict[str, Any] = message["output"]
                return output
            else:
                raise _failure(message["error"])

    async def kill(self) -> None:
        """Kills the process and waits until it is gone."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._writer.close()
        await self._process.wait()

    async def _receive(self, job: str, quiet_seconds: float | None) -> dict[str, Any]:
        try:
            line = await asyncio.wait_for(self._reader.readline(), quiet_seconds)
        except TimeoutError:
            raise FitFailed(f"{job}: no progress for {quiet_seconds:.0f} s; its process was killed") from None
        except ConnectionError:
            line = b""
        if not line:
            code = await self._process.wait()
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            raise FitFailed(f"{job}: its process ended with {how} (out of memory?)")
        message: dict[str, Any] = json.loads(line)
        return message


class Pool:
    """`size` processes; one that was killed or died is replaced at once."""

    def __init__(self, artifact_url: str, *, size: int, threads: int) -> None:
        self._artifact_url = artifact_url
        self._size = size
        self._threads = threads
        self._free: asyncio.Queue[asyncio.Task[PoolProcess]] = asyncio.Queue()
        self._all: set[PoolProcess] = set()
        self._first: list[asyncio.Task[PoolProcess]] = []
        self._loading: list[asyncio.Task[dict[str, Any]]] = []
        self._closed = False

    async def __aenter__(self) -> Pool:
        self._first = [self._spawn() for _ in range(self._size)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closed = True
        await asyncio.gather(*(process.kill() for process in self._all))
        await asyncio.gather(*self._loading, return_exceptions=True)
        # A process that was still loading ended with FitFailed just now.
        waiting = [self._free.get_nowait() for _ in range(self._free.qsize())]
        await asyncio.gather(*waiting, return_exceptions=True)
        self._all.clear()

    async def ready(self) -> None:
        """Loads the libraries of all models in every first process. Raises FitFailed when one cannot.

        A process that replaces another one loads those of its own jobs only: it is up in a third of the time.
        """
        await asyncio.gather(*map(asyncio.shield, self._first))
        # Together: each takes a process of its own. Of a caller that gives up they are left to `__aexit__`.
        self._loading = [asyncio.create_task(self.run(LOAD, None, lambda _: None)) for _ in range(self._size)]
        await asyncio.gather(*map(asyncio.shield, self._loading))

    @property
    def pids(self) -> list[int]:
        """Ids of the processes that are up."""
        return [process.pid for process in self._all if process.alive]

    async def run(
        self, job: str, payload: Any, on_progress: OnProgress, quiet_seconds: float | None = None
    ) -> dict[str, Any]:
        """Runs a job in a free process. Cancelling the call kills the process that runs it."""
        async with self._lease(on_progress) as process:
            return await process.run(job, payload, on_progress, quiet_seconds)

    @asynccontextmanager
    async def _lease(self, on_progress: OnProgress) -> AsyncIterator[PoolProcess]:
        process = await self._acquire(on_progress)
        clean = False
        try:
            yield process
            clean = True
        except tuple(FAILURES.values()) as failure:
            # The job failed in good order; only a dead or hung process is not used again.
            clean = process.alive and not isinstance(failure, FitFailed)
            raise
        finally:
            if clean:
                self._free.put_nowait(_done(process))
            else:
                self._all.discard(process)
                self._spawn()
                await asyncio.shield(process.kill())

    async def _acquire(self, on_progress: OnProgress) -> PoolProcess:
        """A live process; says every second that it is being waited for."""
        waiting = await self._free.get()
        try:
            for _ in range(_LONGEST_LOAD_SECONDS):
                on_progress({"phase": "start", "done": 0, "total": 1})
                # `wait`, not `await`: a cancelled call must not cancel a start that the next one can use.
                await asyncio.wait({waiting}, timeout=1)
                if waiting.done():
                    break
        except asyncio.CancelledError:
            self._free.put_nowait(waiting)
            raise
        try:
            if not waiting.done():
                waiting.cancel()
                raise FitFailed(f"a pool process did not load in {_LONGEST_LOAD_SECONDS} s")
            process = waiting.result()
        except (OSError, FitFailed) as error:
            self._spawn()
            raise FitFailed(f"cannot start a pool process: {error}") from error
        if process.alive:
            return process
        self._all.discard(process)
        self._spawn()
        await process.kill()
        return await self._acquire(on_progress)

    def _spawn(self) -> asyncio.Task[PoolProcess]:
        task = asyncio.create_task(self._start())
        self._free.put_nowait(task)
        return task

    async def _start(self) -> PoolProcess:
        if self._closed:
            raise FitFailed("the pool is closed")
        process = await PoolProcess.start(self._artifact_url, self._threads)
        self._all.add(process)
        try:
            await process.load()
        except BaseException:
            self._all.discard(process)
            await process.kill()
            raise
        return process


def _done(process: PoolProcess) -> asyncio.Task[PoolProcess]:
    async def itself() -> PoolProcess:
        return process

    return asyncio.create_task(itself())


def _failure(error: dict[str, Any]) -> Exception:
    if error["trace"]:
        _log.error("job failed: %s", error["trace"])
    kind = FAILURES.get(error["type"])
    if kind is None:
        kind = DataDefect if error["type"] == ArtifactCorrupt.__name__ else FitFailed
    return kind(error["message"])


def _child_env(threads: int) -> dict[str, str]:
    paths = [str(PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    one = dict.fromkeys(("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1")
    return {
        **os.environ,
        **one,
        "OMP_NUM_THREADS": str(threads),
        # Waiting threads sleep: on two shared cores spinning ones made small fits up to ten times slower.
        "OMP_WAIT_POLICY": "PASSIVE",
        "POLARS_MAX_THREADS": str(threads),
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
    }
