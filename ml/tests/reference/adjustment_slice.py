"""AAPL around its 7:1 split of 2014-06-09 in both price bases: src/domain/testdata/adjustment.json.

    python ml/tests/reference/adjustment_slice.py AS_TRADED.csv.gz SPLIT_ADJUSTED.csv.gz DIVIDENDS.csv

AS_TRADED is QuantConnect Lean's daily equity data (symbol,date,open,high,low,close,volume), SPLIT_ADJUSTED the
S&P 500 set of data/sample as CSV (date,open,high,low,close,volume,Name), as of 2018-02-07, DIVIDENDS Lean's cash
amounts as traded (symbol, ex-date, amount, ...).
"""

import json
import sys
from pathlib import Path

import pandas as pd

TARGET = Path(__file__).resolve().parents[3] / "src" / "domain" / "testdata" / "adjustment.json"
FIELDS = ["open", "high", "low", "close", "volume"]


def rows(path: str, symbol_column: str) -> list[list[object]]:
    frame = pd.read_csv(path)
    frame = frame[(frame[symbol_column] == "AAPL") & frame["date"].between("2014-04-28", "2014-08-15")]
    return [[row["date"], *(float(row[field]) for field in FIELDS)] for _, row in frame.iterrows()]


def dividends(path: str) -> list[list[object]]:
    frame = pd.read_csv(path)
    frame.columns = ["symbol", "exDate", "amount", *frame.columns[3:]]
    chosen = frame[(frame["symbol"] == "AAPL") & frame["exDate"].between("2013-01-01", "2018-12-31")]
    return [[row["exDate"], float(row["amount"])] for _, row in chosen.iterrows()]


def main() -> None:
    traded, adjusted, cash = sys.argv[1:4]
    content = {
        "columns": ["date", *FIELDS],
        "asTraded": rows(traded, "symbol"),
        "splitAdjusted": rows(adjusted, "Name"),
        "dividends": dividends(cash),
    }
    TARGET.write_text(json.dumps(content) + "\n")


main()
