"""Choose the bundled universes by rule and write data/sample/universes/*.json.

    python scripts/data/choose_universes.py SOURCE_DIR [--out data/sample/universes]

`sample` must not be chosen by what became famous later: it takes dollar volume of 2013 only (median of
close x volume per session, 2013-02-08 to 2013-12-31), the two largest of each sector, then the largest of
the rest until there are 30. Membership of February 2018 and sectors of that day remain: the bundled data
knows no other, and every report says `survivorship: biased`.
"""

import argparse
import json
from pathlib import Path

import polars as pl

PER_SECTOR, SAMPLE, TINY = 2, 30, 8


def write(out: Path, name: str, description: str, symbols: list[str]) -> None:
    content = {
        "schemaVersion": 1,
        "name": name,
        "description": description,
        "survivorship": "biased",
        "symbols": sorted(symbols),
    }
    text = json.dumps(content, indent=2)
    head, tail = text.split('"symbols": [')
    members = json.loads("[" + tail.rsplit("]", 1)[0] + "]")
    lines = [", ".join(json.dumps(s) for s in members[i : i + 12]) for i in range(0, len(members), 12)]
    body = ",\n    ".join(lines)
    (out / f"{name}.json").write_text(f'{head}"symbols": [\n    {body}\n  ]\n}}\n')
    print(name, len(symbols), " ".join(sorted(symbols)) if len(symbols) < 50 else "")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("--out", type=Path, default=Path("data/sample/universes"))
    arguments = parser.parse_args()
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    sectors = pl.read_csv(arguments.source / "ohlcv/sp500_symbols.csv").select("symbol", "sector")
    volume = (
        pl.read_csv(arguments.source / "ohlcv/sp500_daily_2013_2018.csv.gz", try_parse_dates=True)
        .filter(pl.col("date").dt.year() == 2013)
        .group_by(symbol="Name")
        .agg(sessions=pl.len(), dollars=(pl.col("close") * pl.col("volume")).median())
        .filter(pl.col("sessions") == pl.col("sessions").max())
        .join(sectors, on="symbol")
        .sort("dollars", "symbol", descending=[True, False])
    )
    first = volume.group_by("sector", maintain_order=True).head(PER_SECTOR)
    rest = volume.filter(~pl.col("symbol").is_in(first["symbol"].implode())).head(SAMPLE - first.height)
    sample = pl.concat([first.select("symbol"), rest.select("symbol")])["symbol"].to_list()
    tiny = volume.group_by("sector", maintain_order=True).head(1).head(TINY)["symbol"].to_list()

    write(out, "sp500", "Members of the S&P 500 in February 2018.", sectors["symbol"].to_list())
    write(
        out,
        "sample",
        "The two members of each sector with the largest median dollar volume in 2013, "
        "then the largest others.",
        sample,
    )
    write(
        out,
        "tiny",
        "The largest by dollar volume in 2013 of each of the eight most traded sectors; for tests.",
        tiny,
    )
