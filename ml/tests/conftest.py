"""Environment of a pool process, set before any library is loaded, and shared fixtures."""

from __future__ import annotations

import os

os.environ.update(
    OMP_NUM_THREADS="2",
    OMP_WAIT_POLICY="PASSIVE",
    OPENBLAS_NUM_THREADS="1",
    MKL_NUM_THREADS="1",
    # One test compares with shap's own permutation explainer: interpreted it takes ms, compiled many seconds.
    NUMBA_DISABLE_JIT="1",
)

from pathlib import Path

import pytest
from support.market import Market, build_market
from support.night import Night

from nightshift_ml.artifacts import ArtifactStore
from nightshift_ml.jobs import JobContext


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(f"file://{tmp_path}/artifacts")


@pytest.fixture
def context(store: ArtifactStore) -> JobContext:
    return JobContext(store)


@pytest.fixture
def dataset_hash(store: ArtifactStore) -> str:
    return build_market(Market()).write(store)


@pytest.fixture(scope="session")
def night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    """A whole night of the eight models on the synthetic market, run once."""
    folder = tmp_path_factory.mktemp("night")
    return Night.run(ArtifactStore(f"file://{folder}"), Market())
