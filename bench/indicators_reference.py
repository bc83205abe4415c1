"""Seconds of TA-Lib (by symbol) and pandas (wide frames) on the bars of bench/indicators.ts; prints JSON."""

import json
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import talib
from talib._ta_lib import MA_Type

FloatArray = np.ndarray


def with_talib(symbols: list[tuple[FloatArray, ...]]) -> None:
    for h, lo, c, v in symbols:
        talib.SMA(c, 30)
        talib.EMA(c, 30)
        talib.RSI(c, 14)
        talib.MACD(c, 12, 26, 9)
        talib.ATR(h, lo, c, 14)
        talib.BBANDS(c, 20, 2.0, 2.0)
        talib.ADX(h, lo, c, 14)
        talib.OBV(c, v)
        talib.STOCH(h, lo, c, 5, 3, MA_Type.SMA, 3, MA_Type.SMA)
        talib.CCI(h, lo, c, 14)
        talib.WILLR(h, lo, c, 14)
        talib.ROC(c, 10)
        talib.MFI(h, lo, c, v, 14)


def wilder(frame: pd.DataFrame, period: int) -> pd.DataFrame:
    return frame.ewm(alpha=1 / period, adjust=False).mean()


def with_pandas(h: pd.DataFrame, lo: pd.DataFrame, c: pd.DataFrame, v: pd.DataFrame) -> None:
    change = c.diff()
    c.rolling(30).mean()
    c.ewm(span=30, adjust=False).mean()
    gain, loss = wilder(change.clip(lower=0), 14), wilder(-change.clip(upper=0), 14)
    100 * gain / (gain + loss)
    line = c.ewm(span=12, adjust=False).mean() - c.ewm(span=26, adjust=False).mean()
    line - line.ewm(span=9, adjust=False).mean()
    before = c.shift(1)
    true_range = np.maximum(h, before) - np.minimum(lo, before)
    average_range = wilder(true_range, 14)
    middle, spread = c.rolling(20).mean(), 2 * c.rolling(20).std(ddof=0)
    middle + spread, middle - spread
    up, down = h.diff(), -lo.diff()
    plus = wilder(up.where((up > down) & (up > 0), 0.0), 14) / average_range
    minus = wilder(down.where((down > up) & (down > 0), 0.0), 14) / average_range
    wilder(100 * (plus - minus).abs() / (plus + minus), 14)
    (np.sign(change).fillna(1.0) * v).cumsum()
    low5, high5 = lo.rolling(5).min(), h.rolling(5).max()
    slow_k = (100 * (c - low5) / (high5 - low5)).rolling(3).mean()
    slow_k.rolling(3).mean()
    typical = (h + lo + c) / 3
    mean = typical.rolling(14).mean()
    # The mean absolute deviation of a window has no pandas method: a sum over its 14 lags is the fast way.
    deviation = sum((typical.shift(lag) - mean).abs() for lag in range(14)) / 14
    (typical - mean) / (0.015 * deviation)
    low14, high14 = lo.rolling(14).min(), h.rolling(14).max()
    -100 * (high14 - c) / (high14 - low14)
    100 * (c / c.shift(10) - 1)
    flow, direction = typical * v, typical.diff()
    positive = flow.where(direction > 0, 0.0).rolling(14).sum()
    negative = flow.where(direction < 0, 0.0).rolling(14).sum()
    100 * positive / (positive + negative)


def seconds_of(run: Callable[[], None], rounds: int) -> list[float]:
    times = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return times[1:]


def wide(symbols: list[tuple[FloatArray, ...]], field: int) -> pd.DataFrame:
    """One column per symbol, aligned at the end: a later listing has NaN before it."""
    length = max(len(symbol[field]) for symbol in symbols)
    return pd.DataFrame(
        {
            i: np.concatenate([np.full(length - len(s[field]), np.nan), s[field]])
            for i, s in enumerate(symbols)
        }
    )


def main() -> None:
    path, index, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
    with Path(index).open() as file:
        starts = json.load(file)
    fields = np.fromfile(path).reshape(4, -1)
    symbols = [tuple(fields[:, a:b]) for a, b in pairwise(starts)]
    frames = [wide(symbols, field) for field in range(4)]
    result = {
        "TA-Lib, one core": seconds_of(lambda: with_talib(symbols), rounds),
        "pandas, wide frames": seconds_of(lambda: with_pandas(*frames), min(rounds, 3)),
    }
    print(json.dumps(result))


main()
