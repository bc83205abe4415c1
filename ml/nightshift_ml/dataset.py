"""The night's dataset: manifest, feature matrix, and the row sets that may train or be tested."""

from __future__ import annotations

import io
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from .artifacts import ArtifactStore
from .errors import DataDefect, InvalidInput
from .hashing import hash_arrays

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]
Index = Annotated[int, Field(ge=0)]

#: Fewest labelled rows, of both classes, that a model is fitted on.
MIN_TRAIN_ROWS = 50


class _Manifest(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, frozen=True, extra="ignore")


class Block(_Manifest):
    """A walk-forward fold: the test sessions of a calendar block and the training window before it."""

    index: Index
    anchor: str
    first_test_session_index: Index
    last_test_session_index: Index
    train_first_session_index: Index
    train_last_session_index: Index


class FinalTrain(_Manifest):
    """Training window of the model that is used at night S."""

    first_session_index: Index
    last_session_index: Index


class Manifest(_Manifest):
    """The dataset's manifest; its hash is the `datasetHash` that is passed around."""

    schema_version: Literal[1]
    parquet_hash: str
    session_date: str
    universe: str
    label_kind: Literal["excess", "direction"]
    horizon_sessions: Annotated[int, Field(ge=1, le=20)]
    embargo_sessions: Annotated[int, Field(ge=0)]
    sessions: list[str]
    symbols: list[str]
    features: Annotated[list[str], Field(min_length=1)]
    rows: Index
    row_start_by_session: list[Index]
    blocks: list[Block]
    final_train: FinalTrain
    score_session_index: Index


@dataclass(frozen=True)
class TrainingRows:
    """Labelled rows of a training window: x float32 [n, features], y float32 0/1 [n]."""

    x: Floats
    y: npt.NDArray[np.float32]
    first_session_index: int
    last_session_index: int

    def hash(self, features: list[str]) -> str:
        """sha256 over feature names, values and labels: what a fit can depend on."""
        return hash_arrays({"kind": "trainingRows", "features": features}, (self.x, self.y.astype(np.uint8)))


@dataclass(frozen=True)
class TestRows:
    """All rows of a block's test sessions (or of the session to score); targets may be NaN."""

    __test__ = False  # not a pytest class

    x: Floats
    start: int
    stop: int


@dataclass
class Dataset:
    """A loaded dataset: float32 matrix [rows, features], C order, and the columns beside it."""

    name: str
    manifest: Manifest
    x: Floats
    session_index: Ints
    symbol_index: Ints
    target: Doubles
    forward_return: Doubles
    excess_return: Doubles
    _newest: TrainingRows | None = None
    _hashes: dict[tuple[int, int], str] = field(default_factory=dict)

    def block(self, index: int) -> Block:
        """The block of that index, its purge rule checked. Raises InvalidInput, DataDefect."""
        if index >= len(self.manifest.blocks):
            raise InvalidInput(f"blockIndex {index}: the dataset has {len(self.manifest.blocks)} blocks")
        block = self.manifest.blocks[index]
        assert_purged(self.manifest, block)
        return block

    def fold_rows(self, block: Block) -> TrainingRows:
        """Labelled training rows of a block."""
        assert_purged(self.manifest, block)
        return self._training(block.train_first_session_index, block.train_last_session_index)

    def final_rows(self) -> TrainingRows:
        """Labelled training rows of the final model: every label known by the close of S."""
        assert_final(self.manifest)
        final = self.manifest.final_train
        return self._training(final.first_session_index, final.last_session_index)

    def rows_hash(self, train: TrainingRows) -> str:
        """Hash of training rows, computed once per window."""
        window = (train.first_session_index, train.last_session_index)
        if window not in self._hashes:
            self._hashes[window] = train.hash(self.manifest.features)
        return self._hashes[window]

    def base_rate(self, first: int, last: int) -> float:
        """Share of ones among the labels of these sessions."""
        rows = self._sessions(first, last)
        return float(np.nanmean(self.target[rows.start : rows.stop]))

    def test_rows(self, block: Block) -> TestRows:
        """All rows of the block's test sessions."""
        return self._sessions(block.first_test_session_index, block.last_test_session_index)

    def score_rows(self) -> TestRows:
        """The rows of session S."""
        return self._sessions(self.manifest.score_session_index, self.manifest.score_session_index)

    def _sessions(self, first: int, last: int) -> TestRows:
        starts = self.manifest.row_start_by_session
        start, stop = starts[first], starts[last + 1]
        if start == stop:
            raise DataDefect(f"sessions {first} to {last} have no rows")
        return TestRows(self.x[start:stop], start, stop)

    def _training(self, first: int, last: int) -> TrainingRows:
        # Only the newest window's rows are kept: copies of large training windows fill the memory.
        kept = self._newest
        if kept is None or (kept.first_session_index, kept.last_session_index) != (first, last):
            self._newest = kept = self._labelled(first, last)
        return kept

    def _labelled(self, first: int, last: int) -> TrainingRows:
        rows = self._sessions(first, last)
        target = self.target[rows.start : rows.stop]
        labelled = ~np.isnan(target)
        x = rows.x if labelled.all() else rows.x[labelled]
        train = TrainingRows(x, target[labelled].astype(np.float32), first, last)
        ones = int(train.y.sum())
        if len(train.y) < MIN_TRAIN_ROWS or ones == 0 or ones == len(train.y):
            raise DataDefect(
                f"training sessions {first} to {last} have {len(train.y)} labelled rows, "
                f"{ones} of them ones: at least {MIN_TRAIN_ROWS} of both classes are needed"
            )
        return train


def assert_purged(manifest: Manifest, block: Block) -> None:
    """Every training session s of a fold satisfies s + h + embargo <= T0 - 1. Raises DataDefect."""
    horizon, embargo = manifest.horizon_sessions, manifest.embargo_sessions
    if embargo < max(5, horizon):
        raise DataDefect(f"embargo of {embargo} sessions: at least max(5, {horizon}) are needed")
    if block.train_first_session_index > block.train_last_session_index:
        raise DataDefect(f"block {block.index}: training window is empty")
    if not block.first_test_session_index <= block.last_test_session_index <= manifest.score_session_index:
        raise DataDefect(f"block {block.index}: test sessions are not in order or lie after S")
    limit = block.first_test_session_index - 1
    if block.train_last_session_index + horizon + embargo > limit:
        raise DataDefect(
            f"block {block.index}: training session {block.train_last_session_index} + horizon {horizon} "
            f"+ embargo {embargo} reaches past {limit}, the session before the first test session"
        )


def assert_final(manifest: Manifest) -> None:
    """Every training session s of the final model satisfies s + h <= S. Raises DataDefect."""
    final, score = manifest.final_train, manifest.score_session_index
    if final.first_session_index > final.last_session_index:
        raise DataDefect("final training window is empty")
    if final.last_session_index + manifest.horizon_sessions > score:
        raise DataDefect(
            f"final training session {final.last_session_index} + horizon {manifest.horizon_sessions} "
            f"reaches past the session of the night ({score})"
        )


def load_dataset(store: ArtifactStore, name: str) -> Dataset:
    """Reads manifest and Parquet, checks order, ranges and labels. Raises ArtifactMissing, DataDefect."""
    try:
        manifest = Manifest.model_validate_json(store.get(name))
    except ValidationError as error:
        raise DataDefect(f"dataset {name}: manifest: {error}") from error
    frame = pl.read_parquet(io.BytesIO(store.get(manifest.parquet_hash)))
    columns = ["sessionIndex", "symbolIndex", "target", "forwardReturn", "excessReturn"]
    missing = [c for c in [*columns, *manifest.features] if c not in frame.columns]
    if missing:
        raise DataDefect(f"dataset {name}: Parquet has no column {missing}")
    # polars gives a transposed view for one-type frames; the models want rows that lie together.
    x = np.ascontiguousarray(
        frame.select(pl.col(manifest.features).cast(pl.Float32)).to_numpy(order="c"), dtype=np.float32
    )
    if not x.flags.writeable:
        x = x.copy()
    x[np.isnan(x)] = np.nan  # one bit pattern for missing, so that hashes agree
    dataset = Dataset(
        name,
        manifest,
        x,
        _ints(frame, "sessionIndex"),
        _ints(frame, "symbolIndex"),
        _doubles(frame, "target"),
        _doubles(frame, "forwardReturn"),
        _doubles(frame, "excessReturn"),
    )
    _check(dataset)
    return dataset


class DatasetCache:
    """Keeps the newest dataset of this process: forty fits of a night read the same one."""

    def __init__(self, store: ArtifactStore, keep: int = 1) -> None:
        self._store = store
        self._keep = keep
        self._datasets: OrderedDict[str, Dataset] = OrderedDict()
        self.loads = 0

    def get(self, name: str) -> Dataset:
        """The dataset of that hash, loaded once."""
        known = self._datasets.get(name)
        if known is not None:
            self._datasets.move_to_end(name)
            return known
        while len(self._datasets) >= self._keep:
            self._datasets.popitem(last=False)
        self.loads += 1
        self._datasets[name] = load_dataset(self._store, name)
        return self._datasets[name]


def _ints(frame: pl.DataFrame, column: str) -> Ints:
    return np.ascontiguousarray(frame[column].cast(pl.Int32).to_numpy(), dtype=np.int32)


def _doubles(frame: pl.DataFrame, column: str) -> Doubles:
    return np.ascontiguousarray(frame[column].cast(pl.Float64).to_numpy(), dtype=np.float64)


def _check(dataset: Dataset) -> None:
    manifest, session, symbol = dataset.manifest, dataset.session_index, dataset.symbol_index
    sessions, starts = len(manifest.sessions), np.asarray(manifest.row_start_by_session, dtype=np.int64)
    if len(session) != manifest.rows:
        raise DataDefect(f"Parquet has {len(session)} rows, the manifest says {manifest.rows}")
    if manifest.score_session_index >= sessions:
        raise DataDefect(f"scoreSessionIndex {manifest.score_session_index} of {sessions} sessions")
    if len(session) and (session.min() < 0 or session.max() > manifest.score_session_index):
        raise DataDefect("rows lie outside the sessions up to S")
    if len(symbol) and (symbol.min() < 0 or symbol.max() >= len(manifest.symbols)):
        raise DataDefect("symbolIndex outside the manifest's symbols")
    order = session.astype(np.int64) * len(manifest.symbols) + symbol
    if (np.diff(order) <= 0).any():
        raise DataDefect("rows are not sorted by (sessionIndex, symbolIndex), or one appears twice")
    expected = np.searchsorted(session, np.arange(sessions + 1))
    if not np.array_equal(starts, expected):
        raise DataDefect("rowStartBySession does not fit the rows")
    if [block.index for block in manifest.blocks] != list(range(len(manifest.blocks))):
        raise DataDefect("blocks are not numbered 0, 1, 2, …")
    if np.isinf(dataset.x).any():
        bad = [manifest.features[j] for j in np.flatnonzero(np.isinf(dataset.x).any(axis=0))]
        raise DataDefect(f"infinite values in features {bad}")
    labelled = ~np.isnan(dataset.target)
    if not np.isin(dataset.target[labelled], (0.0, 1.0)).all():
        raise DataDefect("target must be 0, 1 or NaN")
    # A label of session s is known at the close of s + h; one that S could not know is a leak.
    if labelled[session > manifest.score_session_index - manifest.horizon_sessions].any():
        raise DataDefect("labels that end after the session of the night")
