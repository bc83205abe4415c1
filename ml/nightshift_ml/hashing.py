"""Hashes that name artifacts and keys: same inputs, same hash."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy.typing as npt

PACKAGE = Path(__file__).resolve().parent
LOCK_FILE = PACKAGE.parent / "requirements.lock"


def canonical_json(value: Any) -> bytes:
    """JSON with sorted keys and no spaces; NaN and infinities are refused (ValueError)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def sha256_hex(data: bytes) -> str:
    """Lower-case sha256 of the bytes."""
    return hashlib.sha256(data).hexdigest()


def key_of(**parts: Any) -> str:
    """sha256 of the canonical JSON of the named parts."""
    return sha256_hex(canonical_json(parts))


def hash_arrays(header: Any, arrays: Iterable[npt.NDArray[Any]]) -> str:
    """sha256 over a JSON header and the shapes, types and bytes of the arrays, in order."""
    import numpy as np  # here: the worker itself, which only needs the other hashes, starts faster

    digest = hashlib.sha256(canonical_json(header))
    for array in arrays:
        block = np.ascontiguousarray(array)
        digest.update(f"|{block.dtype.str}{block.shape}|".encode())
        digest.update(block.view(np.uint8).reshape(-1).data)
    return digest.hexdigest()


@cache
def code_hash() -> str:
    """sha256 over the package's .py files, sorted by path: a changed line is another model version."""
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py"), key=lambda p: p.relative_to(PACKAGE).as_posix()):
        digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0")
        digest.update(sha256_hex(path.read_bytes()).encode() + b"\0")
    return digest.hexdigest()


@cache
def lock_hash() -> str:
    """sha256 of requirements.lock, which pins every library a fit depends on."""
    return sha256_hex(LOCK_FILE.read_bytes())


def platform_id() -> str:
    """Platform within which identical fits hash identically, e.g. `linux-x86_64-cpython3.11`."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return f"{sys.platform}-{platform.machine()}-{sys.implementation.name}{version}".lower()
