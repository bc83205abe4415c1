"""A long import says that it goes on, or it would count as a hung process."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from .models._base import Progress

#: Seconds on an idle machine, a minute on a loaded one.
LONGEST_IMPORT_SECONDS = 300.0


@contextmanager
def showing_life(
    progress: Progress, phase: str, *, limit_seconds: float, every_seconds: float = 2.0
) -> Iterator[None]:
    """Reports `phase` every few seconds while the body runs, for at most `limit_seconds`."""
    ended = threading.Event()

    def report() -> None:
        until = time.monotonic() + limit_seconds
        while time.monotonic() < until:
            progress(phase, 0, 1)
            if ended.wait(every_seconds):
                return

    reporter = threading.Thread(target=report, daemon=True)
    reporter.start()
    try:
        yield
    finally:
        ended.set()
        reporter.join()
