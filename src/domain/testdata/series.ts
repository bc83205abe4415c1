import bars from './bars.json' with { type: 'json' };

/** A stored series: numbers with a space between, `-` for NaN. */
export function parseSeries(text: string, scale = 1): Float64Array {
  return Float64Array.from(text.split(' '), (word) => (word === '-' ? Number.NaN : Number(word) / scale));
}

/** Real bars: 24 symbols, 620 sessions to 2018-02-07, arrays aligned to `sessions`. See `bar_slice.py`. */
export function realBars(): {
  sessions: string[];
  symbols: string[];
  open: Float64Array[];
  high: Float64Array[];
  low: Float64Array[];
  close: Float64Array[];
  volume: Float64Array[];
} {
  const rows = Object.entries(bars.bars);
  const field = (name: 'open' | 'high' | 'low' | 'close' | 'volume'): Float64Array[] =>
    rows.map(([, series]) => parseSeries(series[name], name === 'volume' ? 1 : 10_000));
  return {
    sessions: bars.sessions,
    symbols: rows.map(([symbol]) => symbol),
    open: field('open'),
    high: field('high'),
    low: field('low'),
    close: field('close'),
    volume: field('volume'),
  };
}
