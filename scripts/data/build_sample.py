"""Build data/sample from the public source files (see data/sample/README.md for where they are from).

    python scripts/data/build_sample.py SOURCE_DIR [--out data/sample]

Needs polars and pyarrow. SOURCE_DIR holds ohlcv/, corporate_actions/, fundamentals/, LICENSES/ with
the files named below. The output is the same bytes for the same inputs and library versions.
"""

import argparse
import hashlib
import json
import shutil
from fractions import Fraction
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

FIRST, LAST = "2013-02-08", "2018-02-07"
CREATED_AT = "2026-11-22T00:00:00Z"
PRICE_SCALE = 10_000
PRICES = ["open", "high", "low", "close"]

# Which company's actions belong to which symbol of the bars. Tickers are reused and classes differ,
# so this is a list made by hand from the ticker histories (Lean map files), not a join by name.
ACTION_OWNER = {
    "AAPL": "AAPL",
    "AIG": "AIG",
    "BAC": "BAC",
    "GOOG": "GOOG",  # class C; its file begins with the first class-C session, 2014-03-27
    "GOOGL": "GOOGL",  # class A, ticker GOOG until 2014-04-02
    "IBM": "IBM",
    "NWSA": "NWSA",  # the News Corp of 2013; the one before became 21st Century Fox
    "TFCFA": "FOXA",  # 21st Century Fox class A, ticker FOXA from 2013-07-01 to 2019-03-18
    "TWX": "TWX",  # Time Warner; TWX.1 is the company that held the ticker until 2001
    "WM": "WM",  # Waste Management, ticker WMI until 2009; bars called WM before that are Washington Mutual
    # TAP.A is class A, the bars' TAP is class B: left out. FB has no actions. The rest are no members.
}

ANNUAL_DROP = {"", "_duplicated_0", "Price", "Ticker Symbol", "Period Ending", "For Year"}
SNAPSHOT_COLUMNS = {
    "Price": "price",
    "Price/Earnings": "priceToEarnings",
    "Dividend Yield": "dividendYieldPercent",
    "Earnings/Share": "earningsPerShare",
    "52 Week Low": "low52Weeks",
    "52 Week High": "high52Weeks",
    "Market Cap": "marketCap",
    "EBITDA": "ebitda",
    "Price/Sales": "priceToSales",
    "Price/Book": "priceToBook",
}


def camel(name: str) -> str:
    words = "".join(c if c.isalnum() else " " for c in name.replace("Add'l", "Additional")).split()
    return words[0].lower() + "".join(w[0].upper() + w[1:].lower() for w in words[1:])


def write_parquet(table: pa.Table, path: Path, integers: list[str], strings: list[str]) -> None:
    pq.write_table(
        table,
        path,
        compression="zstd",
        compression_level=19,
        use_dictionary=strings,
        column_encoding=dict.fromkeys(integers, "DELTA_BINARY_PACKED"),
        row_group_size=65_536,
        write_statistics=False,
        store_schema=False,
    )


def build_bars(source: Path, out: Path) -> pl.DataFrame:
    raw = pl.read_csv(source / "ohlcv/sp500_daily_2013_2018.csv.gz", try_parse_dates=True)
    bars = raw.select(
        symbol=pl.col("Name"),
        date=pl.col("date"),
        **{c: (pl.col(c) * PRICE_SCALE).round().cast(pl.Int32) for c in PRICES},
        volume=pl.col("volume").cast(pl.Int32),
    ).sort("symbol", "date")
    for column in PRICES:  # lossless: every source price is a multiple of 0.0001
        off = (bars[column] / PRICE_SCALE - raw.sort("Name", "date")[column]).abs().drop_nulls()
        assert off.to_numpy().max() < 1e-9
    schema = pa.schema(
        [pa.field("symbol", pa.string(), False), pa.field("date", pa.date32(), False)]
        + [pa.field(c, pa.int32(), c != "close") for c in PRICES]
        + [pa.field("volume", pa.int32(), False)]
    )
    schema = schema.with_metadata({"price_unit": "USD / 10000", "price_basis": f"split-adjusted@{LAST}"})
    write_parquet(bars.to_arrow().cast(schema), out / "bars.parquet", ["date", *PRICES, "volume"], ["symbol"])
    return raw


def build_instruments(source: Path, out: Path, raw: pl.DataFrame) -> pl.DataFrame:
    names = pl.read_csv(
        source / "fundamentals/constituents_financials_2018-02-08.csv", infer_schema_length=None
    )
    table = (
        raw.group_by(symbol=pl.col("Name"))
        .agg(first_session=pl.col("date").min(), last_session=pl.col("date").max(), rows=pl.len())
        .join(names.select(symbol="Symbol", name="Name", sector="Sector"), on="symbol", how="left")
        .select(
            "symbol",
            "name",
            "sector",
            currency=pl.lit("USD"),
            first_session="first_session",
            last_session="last_session",
            rows="rows",
        )
        .sort("symbol")
    )
    assert table["sector"].null_count() == 0
    assert table.height == 505
    table.write_csv(out / "instruments.csv")
    return table


def tidy_factor(value: float) -> Fraction:
    """6.999997 was computed from rounded factors and means 7; 1.0027 means 1.0027."""
    simple = Fraction(value).limit_denominator(20)
    return simple if abs(float(simple) / value - 1) < 2e-4 else Fraction(str(round(value, 4)))


def build_actions(source: Path, out: Path, raw: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    in_range = (pl.col("ex_date") >= FIRST) & (pl.col("ex_date") <= LAST)
    owner = pl.col("symbol").replace_strict(ACTION_OWNER, default=None)

    def read(name: str) -> pl.DataFrame:
        table = pl.read_csv(source / f"corporate_actions/{name}.csv").with_columns(symbol=owner)
        return table.filter(pl.col("symbol").is_not_null() & in_range)

    splits = read("splits")
    factors = [tidy_factor(f) for f in splits["split_factor"]]
    splits = splits.with_columns(
        new_shares=pl.Series([f.numerator for f in factors]),
        old_shares=pl.Series([f.denominator for f in factors]),
    ).sort("symbol", "ex_date")
    closes = {(s, str(d)): c for s, d, c in raw.select("Name", "date", "close").iter_rows()}
    first = {s: str(d) for s, d in raw.group_by("Name").agg(pl.col("date").min()).iter_rows()}
    dividends = read("dividends").sort("symbol", "ex_date")
    # Not before the first bar. The bars of FOXA begin "when issued" on 2013-06-19, already without News
    # Corp: the spin-off of 2013-07-01, a dividend of 3.82 in the source, did not move them.
    dividends = dividends.filter(pl.col("last_date_before") >= pl.col("symbol").replace_strict(first)).filter(
        ~((pl.col("symbol") == "FOXA") & (pl.col("ex_date") == "2013-07-01"))
    )
    for table in (splits, dividends):
        for row in table.iter_rows(named=True):
            # The close before the action, as that source saw it, must be the one of our bars:
            # this is what proves that the action is of the same company and share class.
            ours = closes[row["symbol"], row["last_date_before"]]
            later = 1.0
            for split in splits.filter(pl.col("symbol") == row["symbol"]).iter_rows(named=True):
                if split["ex_date"] > row["last_date_before"]:
                    later *= split["new_shares"] / split["old_shares"]
            if (row["symbol"], row["ex_date"]) == ("TWX", "2014-06-09"):
                later *= (
                    71.08 / 68.14
                )  # the bars' close of the day before lacks the spun-off 2.94: their error
            assert abs(ours * later / row["close_before_as_traded"] - 1) < 0.01, (row, ours, later)
    splits.select("symbol", "ex_date", "new_shares", "old_shares").write_csv(out / "splits.csv")
    dividends.select("symbol", "ex_date", cash_amount="cash_amount_derived").write_csv(out / "dividends.csv")
    return splits, dividends


def build_fundamentals(source: Path, out: Path, members: set[str]) -> tuple[int, int]:
    annual = pl.read_csv(source / "fundamentals/sec_annual_2012_2016.csv.gz", infer_schema_length=None)
    values = [c for c in annual.columns if c not in ANNUAL_DROP]
    annual = (
        annual.filter(pl.col("Ticker Symbol").is_in(members))
        .select(
            symbol="Ticker Symbol",
            periodEnd=pl.col("Period Ending").str.to_date("%m/%d/%Y"),
            **{camel(c): pl.col(c).cast(pl.Float64) for c in values},
        )
        .sort("symbol", "periodEnd")
    )
    assert annual.select("symbol", "periodEnd").is_unique().all()
    names = annual.columns[2:]
    schema = pa.schema(
        [pa.field("symbol", pa.string(), False), pa.field("periodEnd", pa.date32(), False)]
        + [pa.field(c, pa.float64(), True) for c in names]
    )
    write_parquet(
        annual.to_arrow().cast(schema), out / "fundamentals_annual.parquet", ["periodEnd"], ["symbol", *names]
    )

    frames = []
    for day in ("2017-03-08", "2018-02-08"):
        frame = pl.read_csv(
            source / f"fundamentals/constituents_financials_{day}.csv", infer_schema_length=None
        )
        frame = frame.rename({"52 week low": "52 Week Low", "52 week high": "52 Week High"}, strict=False)
        if day == "2018-02-08":  # low and high are swapped in all 505 rows of that file
            frame = frame.rename({"52 Week Low": "52 Week High", "52 Week High": "52 Week Low"})
        billions = 1e9 if day == "2017-03-08" else 1.0
        frame = frame.filter(pl.col("Symbol").is_in(members)).select(
            symbol="Symbol",
            asOf=pl.lit(day).str.to_date(),
            **{
                camel_name: pl.col(c).cast(pl.Float64) * (billions if c in ("Market Cap", "EBITDA") else 1.0)
                for c, camel_name in SNAPSHOT_COLUMNS.items()
            },
        )
        assert (frame["low52Weeks"] > frame["high52Weeks"]).sum() == 0
        frames.append(frame)
    snapshots = pl.concat(frames).sort("symbol", "asOf")
    names = list(SNAPSHOT_COLUMNS.values())
    schema = pa.schema(
        [pa.field("symbol", pa.string(), False), pa.field("asOf", pa.date32(), False)]
        + [pa.field(c, pa.float64(), True) for c in names]
    )
    write_parquet(
        snapshots.to_arrow().cast(schema),
        out / "fundamentals_snapshots.parquet",
        ["asOf"],
        ["symbol", *names],
    )
    return annual.height, snapshots.height


def write_manifest(out: Path, rows: dict[str, int]) -> None:
    files = {}
    for name, count in rows.items():
        content = (out / name).read_bytes()
        files[name] = {"rows": count, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    manifest = {
        "schemaVersion": 1,
        "dataset": "sp500-daily-2013-2018",
        "provider": "archive",
        "createdAt": CREATED_AT,
        "exchange": "XNYS",
        "currency": "USD",
        "priceBasis": {"splits": "adjusted", "dividends": "asTraded", "asOf": LAST},
        "priceScale": PRICE_SCALE,
        "coverage": {"firstSession": FIRST, "lastSession": LAST, "symbols": 505},
        "survivorship": "biased",
        "instrumentMetadataAsOf": "2018-02-08",
        "fundamentalsDelayDays": 90,
        "files": files,
    }
    (out / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("--out", type=Path, default=Path("data/sample"))
    arguments = parser.parse_args()
    source, out = arguments.source, arguments.out
    out.mkdir(parents=True, exist_ok=True)
    raw = build_bars(source, out)
    instruments = build_instruments(source, out, raw)
    splits, dividends = build_actions(source, out, raw)
    annual_rows, snapshot_rows = build_fundamentals(source, out, set(instruments["symbol"]))
    (out / "LICENSES").mkdir(exist_ok=True)
    for name in ("MIT-CNuge-kaggle-code.txt", "Apache-2.0-QuantConnect-Lean.txt"):
        target = out / "LICENSES" / name
        shutil.copyfile(source / "LICENSES" / name, target)
        target.chmod(0o644)
    write_manifest(
        out,
        {
            "bars.parquet": raw.height,
            "instruments.csv": instruments.height,
            "splits.csv": splits.height,
            "dividends.csv": dividends.height,
            "fundamentals_annual.parquet": annual_rows,
            "fundamentals_snapshots.parquet": snapshot_rows,
        },
    )
    for path in sorted(out.glob("*.*")):
        print(f"{path.stat().st_size:>9} {path.name}")
