"""Cuts the slice of real daily bars that the domain tests use: src/domain/testdata/bars.json.

    python ml/tests/reference/bar_slice.py SOURCE.csv.gz

SOURCE is the S&P 500 set 2013-2018 of data/sample as CSV (date,open,high,low,close,volume,Name). Prices are
kept in 1/10,000 dollar, a missing value is `-`; one string per series, sessions of the whole market in order.
The symbols hold what is hard: a missing session (DHR), null opens (O), a listing inside the range (FTV), the
wrong prices of 2017-08-01 (AAPL) and 2017-09-14 (COP, MPC, MRO, FLR).
"""

import json
import sys
from pathlib import Path

import pandas as pd

SYMBOLS = (
    *("AAPL", "AMZN", "BA", "BAC", "COP", "DHR", "ES", "FLR", "FTV", "GE", "ICE", "JNJ"),
    *("JPM", "KO", "MPC", "MRO", "MSFT", "NEE", "NVDA", "O", "PG", "T", "WMT", "XOM"),
)
SESSIONS = 620
TARGET = Path(__file__).resolve().parents[3] / "src" / "domain" / "testdata" / "bars.json"


def encode(values: pd.Series, scale: int) -> str:
    return " ".join("-" if pd.isna(value) else str(round(value * scale)) for value in values)


def main() -> None:
    frame = pd.read_csv(sys.argv[1])
    sessions = sorted(frame["date"].unique())[-SESSIONS:]
    bars = {}
    for symbol in SYMBOLS:
        rows = frame[frame["Name"] == symbol].set_index("date").reindex(sessions)
        bars[symbol] = {field: encode(rows[field], 10_000) for field in ("open", "high", "low", "close")}
        bars[symbol]["volume"] = encode(rows["volume"], 1)
    content = {
        "source": "S&P 500 daily 2013-2018, split-adjusted as of 2018-02-07",
        "sessions": sessions,
        "bars": bars,
    }
    TARGET.write_text(json.dumps(content, indent=2) + "\n")


main()
