"""TA-Lib's answers for src/domain/indicators.ts: src/domain/testdata/indicators.json.

    python ml/tests/reference/indicators.py

Inputs: real bars of src/domain/testdata/bars.json and seeded hard series, stored with the answers. A series
is a string of numbers, `-` for NaN, so that one line is one series.
"""

import json
from pathlib import Path

import numpy as np
import talib
from talib._ta_lib import MA_Type

FOLDER = Path(__file__).resolve().parents[3] / "src" / "domain" / "testdata"
Bars = dict[str, np.ndarray]


def real(symbol: str, first: int, last: int) -> Bars:
    source = json.loads((FOLDER / "bars.json").read_text())["bars"][symbol]
    fields = ("high", "low", "close", "volume")
    scale = {"volume": 1}
    return {
        field: np.array([float(x) for x in source[field].split()[first:last]]) / scale.get(field, 10_000)
        for field in fields
    }


def random_walk(rng: np.random.Generator, length: int, offset: float) -> Bars:
    close = offset + 50 * np.exp(np.cumsum(rng.normal(size=length) * 0.02))
    reach = np.abs(rng.normal(size=(2, length))) * 0.5
    volume = rng.integers(1_000, 1_000_000, size=length).astype(float)
    return {"high": close + reach[0], "low": close - reach[1], "close": close, "volume": volume}


def cases() -> dict[str, Bars]:
    rng = np.random.default_rng(20180207)
    ties = {name: np.round(values / 5) for name, values in random_walk(rng, 160, 0.0).items()}
    # Cents near a low price: typical prices tie but for the rounding of a division by 3.
    cents = {name: np.round(values / 20, 2) for name, values in random_walk(rng, 400, 0.0).items()}
    idle = random_walk(rng, 120, 0.0)
    idle["volume"][30:60] = 0.0
    flat = {name: np.full(80, 0.1) for name in ("high", "low", "close", "volume")}
    rising = np.arange(1.0, 81.0)
    return {
        "AAPL": real("AAPL", 0, 320),
        "XOM": real("XOM", 300, 620),
        "offset": random_walk(rng, 160, 1e4),
        "ties": ties,
        "cents": cents,
        "idle": idle,
        "flat": flat,
        "rising": {"high": rising + 0.5, "low": rising - 0.5, "close": rising, "volume": rising},
        "short": {name: values[:9] for name, values in random_walk(rng, 20, 0.0).items()},
    }


def answers(bars: Bars) -> dict[str, np.ndarray]:
    h, lo, c, v = bars["high"], bars["low"], bars["close"], bars["volume"]
    macd, macd_signal, macd_histogram = talib.MACD(c)
    upper, middle, lower = talib.BBANDS(c, 20, 2.0, 2.0)
    k, d = talib.STOCH(h, lo, c)
    k14, d14 = talib.STOCH(h, lo, c, 14, 3, MA_Type.SMA, 5, MA_Type.SMA)
    return {
        "sma30": talib.SMA(c),
        "sma1": talib.SMA(c, 1),
        "ema30": talib.EMA(c),
        "ema5": talib.EMA(c, 5),
        "rsi14": talib.RSI(c),
        "rsi2": talib.RSI(c, 2),
        "macd": macd,
        "macdSignal": macd_signal,
        "macdHistogram": macd_histogram,
        "atr14": talib.ATR(h, lo, c),
        "atr1": talib.ATR(h, lo, c, 1),
        "upper": upper,
        "middle": middle,
        "lower": lower,
        "adx14": talib.ADX(h, lo, c),
        "adx3": talib.ADX(h, lo, c, 3),
        "obv": talib.OBV(c, v),
        "stochasticK": k,
        "stochasticD": d,
        "stochasticK14": k14,
        "stochasticD14": d14,
        "cci14": talib.CCI(h, lo, c),
        "williamsR14": talib.WILLR(h, lo, c),
        "roc10": talib.ROC(c),
        "mfi14": talib.MFI(h, lo, c, v),
    }


def encode(values: np.ndarray) -> str:
    return " ".join("-" if np.isnan(value) else f"{value:.13g}" for value in values)


def main() -> None:
    result = {}
    for name, bars in cases().items():
        rounded = {field: np.array([float(f"{x:.13g}") for x in values]) for field, values in bars.items()}
        result[name] = {
            "input": {field: encode(values) for field, values in rounded.items()},
            "expected": {field: encode(values) for field, values in answers(rounded).items()},
        }
    content = {"taLib": talib.__version__, "cases": result}
    (FOLDER / "indicators.json").write_text(json.dumps(content, indent=2) + "\n")


main()
