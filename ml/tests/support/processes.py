"""Starting processes and looking at them from outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

#: The folder with `nightshift_ml` in it.
ML = Path(__file__).resolve().parents[2]


def is_gone(pid: int) -> bool:
    """True when no such process runs any more (a zombie that nobody has collected counts as gone)."""
    try:
        state = (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state in ("Z", "X")


def eventually(condition: Callable[[], bool], seconds: float = 10) -> bool:
    """Waits until the condition holds; False when it does not in that time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


@contextmanager
def started(*command: str, **env: str) -> Iterator[subprocess.Popen[str]]:
    """A Python process with its output piped; killed at the end."""
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=ML,
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        with process:
            yield process
            process.kill()
    finally:
        process.kill()


def read_lines(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    """Its JSON lines, as they come."""
    assert process.stdout is not None
    for line in process.stdout:
        yield json.loads(line)
