"""Beats of the model worker in `ops.liveness`: silence tells an outage of ours from a slow task."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, LiteralString

import psycopg

_log = logging.getLogger("nightshift.ml.liveness")
_BEAT_SECONDS = 2.0
_MAX_GAP_SECONDS = 10.0
#: How long `stop` waits for a beat under way; the process may end without it.
_STOP_SECONDS = 1.0
#: libpq's own limits (seconds, tcp_user_timeout in ms): a network that is gone is noticed, not waited for.
_CONNECTION: dict[str, Any] = {
    "connect_timeout": 3,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 6000,
    "application_name": "nightshift ml liveness",
}
#: Inside a transaction, so that a connection pooler in between keeps nothing of it.
_LIMIT: LiteralString = "set local statement_timeout = '3s'"
#: The statement of src/db/queries/liveness.ts: both kinds of worker are judged by the same rows.
_BEAT: LiteralString = """
    with extended as (
      update ops.liveness set beat_at = now()
      where process = %(process)s and host = %(host)s and pid = %(pid)s
        and beat_at >= now() - make_interval(secs => %(gap)s)
      returning 1)
    insert into ops.liveness (process, host, pid, up_since, beat_at)
    select %(process)s, %(host)s, %(pid)s, now(), now()
    where not exists (select 1 from extended)
    on conflict do nothing"""


class Liveness:
    """A daemon thread that writes every two seconds that this process is alive and reaches the server.

    `reach` raises while the server does not answer; then there is no beat either. Nothing that goes wrong
    here reaches the caller: the loss is logged once, and so is the recovery.
    """

    def __init__(
        self,
        url: str,
        *,
        reach: Callable[[], None],
        process: str = "ml",
        beat_seconds: float = _BEAT_SECONDS,
        max_gap_seconds: float = _MAX_GAP_SECONDS,
    ) -> None:
        self._url = url
        self._reach = reach
        self._beat_seconds = beat_seconds
        self._row = {
            "process": process,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "gap": max_gap_seconds,
        }
        self._stopped = threading.Event()
        self._connection: psycopg.Connection | None = None
        self._lost_since: float | None = None
        self._thread = threading.Thread(target=self._run, name="liveness", daemon=True)

    def start(self) -> None:
        """Begins; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the beats; waits a second at most for one under way. Not for the event loop's thread."""
        self._stopped.set()
        self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        while True:
            try:
                self._reach()
                self._write()
            except Exception as error:
                # Whatever it is, a thread that ended would look like an outage for the rest of the night.
                self._close()
                self._lost(error)
            else:
                self._found()
            if self._stopped.wait(self._beat_seconds):
                break
        self._close()

    def _write(self) -> None:
        if self._connection is None:
            self._connection = psycopg.connect(self._url, prepare_threshold=None, **_CONNECTION)
        with self._connection.transaction():
            self._connection.execute(_LIMIT)
            self._connection.execute(_BEAT, self._row)

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.close()

    def _lost(self, error: Exception) -> None:
        if self._lost_since is None and not self._stopped.is_set():
            self._lost_since = time.monotonic()
            _log.warning("liveness is not recorded, trying on: %s", self._words(error))

    def _words(self, error: Exception) -> str:
        # libpq quotes what it cannot read, the whole URL or only the password; no server has seen it then.
        if isinstance(error, psycopg.ProgrammingError) and error.sqlstate is None:
            return "NIGHTSHIFT_DB_URL_ML is no URL that libpq can read"
        return str(error).replace(self._url, "the URL").strip() or type(error).__name__

    def _found(self) -> None:
        if self._lost_since is not None:
            silent = time.monotonic() - self._lost_since
            self._lost_since = None
            _log.info("liveness is recorded again after %.1f s", silent)
