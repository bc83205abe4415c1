"""Deterministic bytes of scikit-learn's trees: padding zeroed, and only known classes are read back."""

from __future__ import annotations

import io
import pickle
import zlib
from typing import Any

import numpy as np

_ALLOWED = ("sklearn.", "numpy.", "_codecs.")
_ALLOWED_BUILTINS = {"slice", "range", "set", "frozenset", "complex", "bytearray"}


class _Pickler(pickle.Pickler):
    def __init__(self, out: io.BytesIO) -> None:
        super().__init__(out, protocol=5)
        # Without references to what was written before: which equal strings are one object is chance.
        self.fast = True
        from sklearn.tree._tree import Tree

        self._tree = Tree

    def reducer_override(self, value: Any) -> Any:
        if type(value) is not self._tree:
            return NotImplemented
        build, arguments, state = value.__reduce__()
        # A node record ends in padding that C leaves as it found it; leaves also keep unset fields.
        nodes = np.zeros(len(state["nodes"]), dtype=state["nodes"].dtype)
        for name in nodes.dtype.names or ():
            nodes[name] = state["nodes"][name]
        nodes["missing_go_to_left"][nodes["left_child"] < 0] = 0
        return build, arguments, {**state, "nodes": nodes}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if f"{module}.".startswith(_ALLOWED) or (module == "builtins" and name in _ALLOWED_BUILTINS):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"a model artifact must not name {module}.{name}")


def dump_estimator(estimator: Any) -> bytes:
    """Compressed pickle of a scikit-learn estimator; identical fits give identical bytes."""
    out = io.BytesIO()
    _Pickler(out).dump(estimator)
    return zlib.compress(out.getvalue(), level=6)


def load_estimator(data: bytes) -> Any:
    """The inverse of `dump_estimator`."""
    return _Unpickler(io.BytesIO(zlib.decompress(data))).load()
