"""Parquet tables the worker writes: predictions of a fold, out-of-fold table, scores of a session."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from .errors import DataDefect, NumericFailure
from .hashing import canonical_json

Doubles = npt.NDArray[np.float64]

#: Stored probabilities and logits are rounded to this many decimals (1e-9).
DECIMALS = 9
_META_KEY = "nightshift"


def rounded(values: Doubles) -> Doubles:
    """Values as they are stored."""
    return np.asarray(np.round(values, DECIMALS), dtype=np.float64)


def checked_probabilities(values: Doubles, what: str) -> Doubles:
    """Rounded probabilities. Raises NumericFailure where one is not finite or not in 0..1."""
    if not np.isfinite(values).all() or (values < 0).any() or (values > 1).any():
        raise NumericFailure(f"{what}: predictions are not probabilities")
    return rounded(values)


def write_table(columns: Mapping[str, npt.NDArray[Any]], about: Mapping[str, Any]) -> bytes:
    """Parquet bytes (zstd) of the columns with a JSON note in the file's metadata; same input, same bytes."""
    frame = pl.DataFrame({name: pl.Series(name, values) for name, values in columns.items()})
    out = io.BytesIO()
    frame.write_parquet(
        out,
        compression="zstd",
        compression_level=3,
        metadata={_META_KEY: canonical_json(about).decode()},
    )
    return out.getvalue()


def read_table(data: bytes, what: str, columns: list[str]) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Table and note written by `write_table`. Raises DataDefect where columns or the note are missing."""
    frame = pl.read_parquet(io.BytesIO(data))
    missing = [column for column in columns if column not in frame.columns]
    note = pl.read_parquet_metadata(io.BytesIO(data)).get(_META_KEY)
    if missing or note is None:
        raise DataDefect(f"{what}: not a table of this worker (missing {missing or 'its note'})")
    about = json.loads(note)
    if not isinstance(about, dict):
        raise DataDefect(f"{what}: its note is not an object")
    return frame, about
