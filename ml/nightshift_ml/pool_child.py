"""A pool process: loads what every job needs, then runs one job after the other.

Libraries of models are loaded by the job that first needs them, or all of them by the job `load`.

Speaks JSON lines over a socket pair: gets {job, input}; sends {ready}, {progress}, {output} or {error}.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
import traceback
from typing import IO, Any

from .process import die_with_parent, exit_on_hang_up

#: Progress is sent at most this often, and always when a phase begins.
_PROGRESS_SECONDS = 0.2

#: The job that loads the libraries of all models.
LOAD = "load"


class _Channel:
    def __init__(self, connection: socket.socket) -> None:
        self._lines: IO[bytes] = connection.makefile("rb")
        self._connection = connection
        self._lock = threading.Lock()
        self._phase = ""
        self._sent = 0.0

    def send(self, message: dict[str, Any]) -> None:
        data = json.dumps(message, allow_nan=False).encode() + b"\n"
        with self._lock:
            self._connection.sendall(data)

    def receive(self) -> dict[str, Any] | None:
        line = self._lines.readline()
        return json.loads(line) if line else None

    def progress(self, phase: str, done: int, total: int) -> None:
        now = time.monotonic()
        if phase == self._phase and now - self._sent < _PROGRESS_SECONDS:
            return
        self._phase, self._sent = phase, now
        self.send({"progress": {"phase": phase, "done": int(done), "total": int(total)}})


def main() -> None:
    """`python -m nightshift_ml.pool_child FD PARENT_PID ARTIFACT_URL`"""
    descriptor, parent_pid, artifact_url = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    die_with_parent(parent_pid)
    # Ctrl-C reaches the whole process group; only the worker decides when a job ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = socket.socket(fileno=descriptor)
    exit_on_hang_up(connection)
    channel = _Channel(connection)

    started = time.perf_counter()
    from .artifacts import ArtifactStore
    from .errors import MlError
    from .jobs import JobContext, run_job
    from .models import registry

    registry()
    context = JobContext(ArtifactStore(artifact_url), progress=channel.progress)
    channel.send({"ready": {"pid": os.getpid(), "seconds": round(time.perf_counter() - started, 3)}})

    while (message := channel.receive()) is not None:
        try:
            if message["job"] == LOAD:
                for model_id in registry():
                    context.load_library(model_id)
                channel.send({"output": {}})
                continue
            channel.send({"output": run_job(message["job"], message["input"], context)})
        except MlError as error:
            channel.send({"error": {"type": type(error).__name__, "message": str(error), "trace": None}})
        except MemoryError:
            raise
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            channel.send({"error": {"type": "FitFailed", "message": text, "trace": traceback.format_exc()}})


if __name__ == "__main__":
    main()
