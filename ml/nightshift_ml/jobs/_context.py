"""What jobs share inside one pool process: store, caches, progress."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from threadpoolctl import threadpool_limits

from ..artifacts import ArtifactStore
from ..dataset import DatasetCache
from ..fitted import FittedModel
from ..models import get_model
from ..models._base import Progress
from ..showing_life import LONGEST_IMPORT_SECONDS, showing_life

#: Models a process keeps: the eight of a night, for score and reasons.
_KEEP_MODELS = 8


def _silent(phase: str, done: int, total: int) -> None:
    pass


@dataclass
class JobContext:
    """One per pool process."""

    store: ArtifactStore
    progress: Progress = _silent
    datasets: DatasetCache = field(init=False)
    _models: OrderedDict[str, FittedModel] = field(default_factory=OrderedDict)

    def __post_init__(self) -> None:
        self.datasets = DatasetCache(self.store)

    def model(self, name: str) -> FittedModel:
        """The model artifact of that hash, loaded once. Raises ArtifactMissing, DataDefect."""
        known = self._models.get(name)
        if known is None:
            data = self.store.get(name)
            self.load_library(FittedModel.id_in(data))
            known = FittedModel.from_bytes(data)
            self.keep(name, known)
        self._models.move_to_end(name)
        return known

    def load_library(self, model_id: str) -> None:
        """Imports what the model fits and predicts with, unless it is there already. Raises InvalidInput."""
        model = get_model(model_id)
        if not model.loaded:
            with showing_life(self.progress, "load", limit_seconds=LONGEST_IMPORT_SECONDS):
                model.load_library()

    def keep(self, name: str, fitted: FittedModel) -> None:
        """Keeps a model that is likely asked for again."""
        self._models[name] = fitted
        while len(self._models) > _KEEP_MODELS:
            self._models.popitem(last=False)


@contextmanager
def thread_limits(threads: int) -> Iterator[None]:
    """OpenMP at the stored thread count; BLAS is at one by the environment of the pool process."""
    if os.environ.get("OMP_NUM_THREADS") == str(threads):
        yield
        return
    with threadpool_limits(limits=threads, user_api="openmp"):
        yield
