"""A small file as the Python worker writes them: src/artifacts/testdata/polars.parquet.

python ml/tests/reference/parquet_file.py
"""

from pathlib import Path

import polars as pl

TARGET = Path(__file__).resolve().parents[3] / "src" / "artifacts" / "testdata" / "polars.parquet"


def main() -> None:
    frame = pl.DataFrame(
        {
            "sessionIndex": pl.Series([1, 1, 2], dtype=pl.Int32),
            "count": pl.Series([1, 2**40, -3], dtype=pl.Int64),
            "feature": pl.Series([0.5, None, float("nan")], dtype=pl.Float32),
            "probability": pl.Series([0.1, 0.2, None], dtype=pl.Float64),
            "up": pl.Series([True, False, True]),
            "symbol": pl.Series(["AAPL", None, "BRK.B"]),
            "gap": pl.Series([1, None, 3], dtype=pl.Int32),
            "day": pl.Series([0, 1, 2], dtype=pl.Int32).cast(pl.Date),
        }
    )
    frame.write_parquet(TARGET, compression="zstd")


main()
