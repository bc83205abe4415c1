"""A small synthetic market written as the dataset artifacts that `buildDataset` writes."""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl

from nightshift_ml.artifacts import ArtifactStore
from nightshift_ml.hashing import canonical_json


@dataclass(frozen=True)
class Market:
    """Shape of the synthetic market; `edge` is the weight of the one feature that knows something."""

    symbols: int = 12
    sessions: int = 300
    features: int = 12
    blocks: int = 3
    block_sessions: int = 40
    horizon: int = 1
    embargo: int = 5
    window: int = 756
    edge: float = 0.3
    missing: float = 0.02
    seed: int = 7


@dataclass
class Built:
    """Columns and manifest before they are stored, so that a test can spoil them."""

    frame: pl.DataFrame
    manifest: dict[str, Any]

    def write(self, store: ArtifactStore) -> str:
        """Stores Parquet and manifest; returns the datasetHash."""
        out = io.BytesIO()
        self.frame.write_parquet(out, compression="zstd")
        self.manifest["parquetHash"] = store.put(out.getvalue())
        return store.put(canonical_json(self.manifest))


def build_market(market: Market) -> Built:
    """Persistent and noisy features, ranks, a calendar feature; labels are signs of excess returns."""
    random = np.random.default_rng(market.seed)
    n, m, h = market.sessions, market.symbols, market.horizon
    names = [f"feature{j:02d}" for j in range(market.features)]
    values = random.standard_normal((market.features, n, m)).astype(np.float32)
    for j in range(1, market.features, 3):  # slow features, such as volatility
        values[j] = np.cumsum(values[j], axis=0) * 0.05
    for j in range(2, market.features, 3):  # ranks within a session
        values[j] = (values[j].argsort(axis=1).argsort(axis=1) + 0.5) / m
    values[-1] = (np.arange(n) % 5)[:, None]
    # A session's features know a little of the return from its next open to the close h sessions on.
    signal = market.edge * values[0] + 0.5 * market.edge * np.tanh(values[1])
    forward = 0.01 * (signal + random.standard_normal((n, m)) + random.standard_normal((n, 1)))
    excess = forward - np.median(forward, axis=1, keepdims=True)
    values[random.random(values.shape) < market.missing] = np.nan
    values[-1, :, :] = (np.arange(n) % 5)[:, None]
    target = np.where(excess == 0, np.nan, (excess > 0).astype(np.float64))
    for column in (target, forward, excess):
        column[n - h :] = np.nan

    listed = np.ones((n, m), dtype=bool)
    listed[: n // 10, m - 1] = False  # a symbol that comes later
    session, symbol = np.nonzero(listed)
    columns: dict[str, Any] = {
        "sessionIndex": session.astype(np.int32),
        "symbolIndex": symbol.astype(np.int32),
        **{name: values[j][listed] for j, name in enumerate(names)},
        "target": target[listed],
        "targetDirection": np.where(np.isnan(forward), np.nan, forward > 0)[listed],
        "targetExcess": target[listed],
        "forwardReturn": forward[listed],
        "excessReturn": excess[listed],
    }
    dates = _weekdays(n)
    first_tests = [n - (market.blocks - k) * market.block_sessions for k in range(market.blocks)]
    blocks = []
    for index, first in enumerate(first_tests):
        last_train = first - 1 - h - market.embargo
        blocks.append(
            {
                "index": index,
                "anchor": dates[first],
                "firstTestSessionIndex": first,
                "lastTestSessionIndex": first + market.block_sessions - 1,
                "trainFirstSessionIndex": max(0, last_train - market.window + 1),
                "trainLastSessionIndex": last_train,
            }
        )
    manifest = {
        "schemaVersion": 1,
        "parquetHash": "",
        "sessionDate": dates[-1],
        "universe": "synthetic",
        "universeVersion": "synthetic-1",
        "featureSetVersion": "synthetic-1",
        "labelKind": "excess",
        "horizonSessions": h,
        "embargoSessions": market.embargo,
        "sessions": dates,
        "symbols": [f"S{k:03d}" for k in range(m)],
        "features": names,
        "rows": len(session),
        "rowStartBySession": np.searchsorted(session, np.arange(n + 1)).tolist(),
        "blocks": blocks,
        "finalTrain": {
            "firstSessionIndex": max(0, n - 1 - h - market.window + 1),
            "lastSessionIndex": n - 1 - h,
        },
        "scoreSessionIndex": n - 1,
    }
    return Built(pl.DataFrame(columns), manifest)


def _weekdays(count: int) -> list[str]:
    day = date(2016, 1, 4)
    out: list[str] = []
    while len(out) < count:
        if day.weekday() < 5:
            out.append(day.isoformat())
        day += timedelta(days=1)
    return out
