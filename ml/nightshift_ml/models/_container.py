"""Bytes of named sections: a JSON head, then the sections. Deterministic, needs no pickle."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataDefect
from ..hashing import canonical_json

_MAGIC = b"NSML1\n"


def pack(head: Mapping[str, Any], sections: Mapping[str, bytes]) -> bytes:
    """One byte string of a JSON head and named sections."""
    lengths = [[name, len(data)] for name, data in sections.items()]
    text = canonical_json({"head": head, "sections": lengths})
    return b"".join((_MAGIC, struct.pack("<I", len(text)), text, *sections.values()))


def unpack(data: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The inverse of `pack`. Raises DataDefect."""
    start = len(_MAGIC) + 4
    if data[: len(_MAGIC)] != _MAGIC or len(data) < start:
        raise DataDefect("not a model artifact")
    (length,) = struct.unpack("<I", data[len(_MAGIC) : start])
    text = json.loads(data[start : start + length])
    position = start + length
    sections: dict[str, bytes] = {}
    for name, size in text["sections"]:
        sections[name] = data[position : position + size]
        position += size
    if position != len(data):
        raise DataDefect("model artifact is cut or has bytes too many")
    return text["head"], sections


def pack_arrays(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Named arrays as one byte string."""
    sections: dict[str, bytes] = {}
    for name, array in arrays.items():
        out = io.BytesIO()
        np.lib.format.write_array(out, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
        sections[name] = out.getvalue()
    return pack({}, sections)


def unpack_arrays(data: bytes) -> dict[str, npt.NDArray[Any]]:
    """The inverse of `pack_arrays`."""
    _, sections = unpack(data)
    return {
        name: np.lib.format.read_array(io.BytesIO(section), allow_pickle=False)
        for name, section in sections.items()
    }
