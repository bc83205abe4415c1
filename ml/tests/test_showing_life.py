"""A long import shows life, but a hung one is still noticed."""

from __future__ import annotations

import threading
import time

from nightshift_ml.showing_life import showing_life


def test_reports_while_the_body_runs_and_stops_with_it() -> None:
    seen: list[str] = []
    reporters = threading.active_count()
    with showing_life(lambda phase, *_: seen.append(phase), "load", limit_seconds=60, every_seconds=0.02):
        deadline = time.monotonic() + 10
        while len(seen) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
    count = len(seen)
    assert count >= 3
    assert set(seen) == {"load"}
    assert threading.active_count() == reporters
    time.sleep(0.1)
    assert len(seen) == count


def test_stops_reporting_at_the_limit() -> None:
    seen: list[str] = []
    with showing_life(lambda phase, *_: seen.append(phase), "load", limit_seconds=0.05, every_seconds=0.01):
        time.sleep(0.2)
        count = len(seen)
        time.sleep(0.2)
        assert len(seen) == count
