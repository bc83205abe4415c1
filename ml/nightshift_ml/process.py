"""Processes that never outlive their parent."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_POLL_SECONDS = 0.5


def die_with_parent(parent_pid: int) -> None:
    """Asks the kernel (Linux) to kill this process when its parent dies; exits if that has happened.

    Does nothing when `parent_pid` is not the real parent: the caller then watches it.
    """
    if os.getppid() == parent_pid and sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent_pid:
            os._exit(1)


def watch_parent(parent_pid: int, on_death: Callable[[], None]) -> None:
    """Calls `on_death` from a thread once the process `parent_pid` is gone (any platform, any ancestor)."""
    started = start_time(parent_pid)

    def watch() -> None:
        while _alive(parent_pid) and start_time(parent_pid) == started:
            time.sleep(_POLL_SECONDS)
        on_death()

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def exit_on_hang_up(connection: socket.socket) -> None:
    """Ends this process when the other end of the socket closes, even in the middle of work."""

    def watch() -> None:
        poll = select.poll()
        poll.register(connection, 0)
        while not any(event & (select.POLLHUP | select.POLLERR) for _, event in poll.poll()):
            time.sleep(_POLL_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="hang-up-watch", daemon=True).start()


def start_time(pid: int) -> str | None:
    """The kernel's start time of a process (Linux), so that a reused pid is not taken for it."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
