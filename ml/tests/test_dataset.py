"""The dataset's rules are asserted where it is read: purge, order, labels nobody could know."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from support.market import Market, build_market

from nightshift_ml.artifacts import ArtifactStore
from nightshift_ml.dataset import Dataset, DatasetCache, assert_purged, load_dataset
from nightshift_ml.errors import ArtifactMissing, DataDefect, InvalidInput


def load(store: ArtifactStore, market: Market | None = None) -> Dataset:
    return load_dataset(store, build_market(market or Market()).write(store))


def test_reads_rows_in_order_as_contiguous_float32(store: ArtifactStore) -> None:
    built = build_market(Market())
    dataset = load_dataset(store, built.write(store))
    assert dataset.x.dtype == np.float32
    assert dataset.x.flags.c_contiguous
    for j, name in enumerate(built.manifest["features"]):
        np.testing.assert_array_equal(dataset.x[:, j], built.frame[name].to_numpy())
    test = dataset.test_rows(dataset.block(1))
    first = built.manifest["blocks"][1]["firstTestSessionIndex"]
    assert set(dataset.session_index[test.start : test.stop]) == set(range(first, first + 40))
    score = dataset.score_rows()
    assert set(dataset.session_index[score.start : score.stop]) == {299}


def test_nulls_are_missing_values(store: ArtifactStore) -> None:
    built = build_market(Market())
    built.frame = built.frame.with_columns(
        pl.col("feature00").fill_nan(None), pl.col("target").fill_nan(None)
    )
    dataset = load_dataset(store, built.write(store))
    assert np.isnan(dataset.x[:, 0]).sum() == built.frame["feature00"].null_count() > 0
    assert np.isnan(dataset.target).sum() == built.frame["target"].null_count() > 0


@pytest.mark.parametrize("horizon", [1, 3, 10, 20])
def test_no_training_label_of_any_fold_meets_its_test_sessions(store: ArtifactStore, horizon: int) -> None:
    embargo = max(5, horizon)
    dataset = load(store, Market(horizon=horizon, embargo=embargo, edge=0.5))
    for block in dataset.manifest.blocks:
        train = dataset.fold_rows(block)
        last_label_end = train.last_session_index + horizon
        assert last_label_end + embargo < block.first_test_session_index
        assert len(train.y) == len(train.x)
        assert not np.isnan(train.y).any()
    final = dataset.final_rows()
    assert final.last_session_index + horizon == dataset.manifest.score_session_index


@pytest.mark.parametrize("late", [1, 3, 30])
def test_a_window_that_reaches_into_the_test_is_refused(store: ArtifactStore, late: int) -> None:
    built = build_market(Market())
    built.manifest["blocks"][1]["trainLastSessionIndex"] += late
    dataset = load_dataset(store, built.write(store))
    with pytest.raises(DataDefect, match="block 1: training session"):
        dataset.block(1)
    with pytest.raises(DataDefect, match="block 1: training session"):
        dataset.fold_rows(dataset.manifest.blocks[1])
    dataset.block(0)


def test_embargo_shorter_than_the_rule_is_refused(store: ArtifactStore) -> None:
    with pytest.raises(DataDefect, match="embargo of 4 sessions"):
        load(store, Market(embargo=4)).block(0)
    dataset = load(store, Market(horizon=9, embargo=5))
    with pytest.raises(DataDefect, match="embargo of 5 sessions"):
        assert_purged(dataset.manifest, dataset.manifest.blocks[0])


def test_a_final_window_with_labels_after_tonight_is_refused(store: ArtifactStore) -> None:
    built = build_market(Market())
    built.manifest["finalTrain"]["lastSessionIndex"] += 1
    with pytest.raises(DataDefect, match="reaches past the session of the night"):
        load_dataset(store, built.write(store)).final_rows()


def test_a_label_from_the_future_is_refused(store: ArtifactStore) -> None:
    built = build_market(Market(horizon=3))
    columns = built.frame["target"].to_numpy().copy()
    columns[-1] = 1.0
    built.frame = built.frame.with_columns(pl.Series("target", columns))
    with pytest.raises(DataDefect, match="labels that end after the session of the night"):
        load_dataset(store, built.write(store))


def _unsorted(built: Any) -> None:
    built.frame = built.frame.reverse()


def _twice(built: Any) -> None:
    built.frame = pl.concat([built.frame, built.frame.tail(1)])
    built.manifest["rows"] += 1


def _infinite(built: Any) -> None:
    built.frame = built.frame.with_columns(pl.lit(np.inf, dtype=pl.Float32).alias("feature03"))


def _half_label(built: Any) -> None:
    built.frame = built.frame.with_columns(pl.lit(0.5).alias("target"))


def _no_column(built: Any) -> None:
    built.frame = built.frame.drop("feature02")


def _short(built: Any) -> None:
    built.frame = built.frame.head(100)


def _wrong_starts(built: Any) -> None:
    built.manifest["rowStartBySession"][5] += 1


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_unsorted, "not sorted"),
        (_twice, "appears twice"),
        (_infinite, r"infinite values in features \['feature03'\]"),
        (_half_label, "must be 0, 1 or NaN"),
        (_no_column, r"no column \['feature02'\]"),
        (_short, "the manifest says"),
        (_wrong_starts, "rowStartBySession"),
    ],
)
def test_a_spoiled_dataset_is_refused(store: ArtifactStore, spoil: Any, message: str) -> None:
    built = build_market(Market())
    spoil(built)
    with pytest.raises(DataDefect, match=message):
        load_dataset(store, built.write(store))


def test_training_hash_depends_on_its_rows_only(store: ArtifactStore) -> None:
    built = build_market(Market())
    first = load_dataset(store, built.write(store))
    longer = build_market(Market())
    # A later night: the newest test block has changed, the training rows of block 0 have not.
    frame = longer.frame.with_columns(
        pl.when(pl.col("sessionIndex") >= 290).then(9.0).otherwise(pl.col("feature04")).alias("feature04")
    ).with_columns(pl.col("feature04").cast(pl.Float32))
    longer.frame = frame
    second = load_dataset(store, longer.write(store))
    assert first.name != second.name

    def hashes(dataset: Dataset) -> list[str]:
        return [dataset.rows_hash(dataset.fold_rows(block)) for block in dataset.manifest.blocks]

    assert hashes(first) == hashes(second)
    assert first.rows_hash(first.final_rows()) != second.rows_hash(second.final_rows())
    changed = build_market(Market())
    session = changed.frame["sessionIndex"]
    changed.frame = changed.frame.with_columns(
        pl.when(session == 3).then(1.0 - pl.col("target")).otherwise(pl.col("target")).alias("target")
    )
    assert set(hashes(first)).isdisjoint(hashes(load_dataset(store, changed.write(store))))


def test_dataset_is_loaded_once_per_process(store: ArtifactStore) -> None:
    one, two = (build_market(Market(seed=seed)).write(store) for seed in (1, 2))
    cache = DatasetCache(store)
    assert cache.get(one) is cache.get(one)
    assert cache.loads == 1
    cache.get(two)
    cache.get(one)
    assert cache.loads == 3
    with pytest.raises(ArtifactMissing):
        cache.get("0" * 64)


def test_block_that_is_not_there(store: ArtifactStore) -> None:
    with pytest.raises(InvalidInput, match="blockIndex 3: the dataset has 3 blocks"):
        load(store).block(3)


def test_a_window_of_one_class_is_a_defect(store: ArtifactStore) -> None:
    built = build_market(Market())
    built.frame = built.frame.with_columns(
        pl.when(pl.col("target").is_nan()).then(pl.col("target")).otherwise(1.0).alias("target")
    )
    with pytest.raises(DataDefect, match="of both classes"):
        load_dataset(store, built.write(store)).final_rows()
