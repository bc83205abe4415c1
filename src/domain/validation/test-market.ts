import type { BarColumns } from '../bars.ts';

/** A small generator with a seed (mulberry32): the same market every time. */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export interface TestMarket {
  /** Weekdays from 2015-01-01 on. */
  readonly sessions: Int32Array;
  readonly bars: readonly BarColumns[];
}

/** Random walks with a common factor, prices in cents, ordered bars: a market without any fault. */
export function createTestMarket(input: {
  readonly symbols: number;
  readonly sessions: number;
  readonly seed: number;
}): TestMarket {
  const random = createRandom(input.seed);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const sessions = new Int32Array(input.sessions);
  for (let day = 16_436, at = 0; at < sessions.length; day++) {
    // 1970-01-01 was a Thursday.
    if ((day + 4) % 7 !== 0 && (day + 4) % 7 !== 6) sessions[at++] = day;
  }
  const market = Array.from(sessions, () => 0.006 * normal());
  const cents = (value: number): number => Math.round(value * 100) / 100;
  const bars = Array.from({ length: input.symbols }, (_, index): BarColumns => {
    const columns = {
      symbol: `S${String(index).padStart(3, '0')}`,
      epochDays: sessions.slice(),
      open: new Float64Array(sessions.length),
      high: new Float64Array(sessions.length),
      low: new Float64Array(sessions.length),
      close: new Float64Array(sessions.length),
      volume: new Float64Array(sessions.length),
    };
    let close = 50 + 100 * random();
    for (let at = 0; at < sessions.length; at++) {
      const open = close * Math.exp(0.004 * normal());
      close = open * Math.exp((market[at] ?? 0) + 0.012 * normal());
      const range = Math.abs(0.004 * normal());
      columns.open[at] = cents(open);
      columns.close[at] = cents(close);
      columns.high[at] = cents(Math.max(open, close) * (1 + range)) + 0.01;
      columns.low[at] = cents(Math.min(open, close) * (1 - range)) - 0.01;
      columns.volume[at] = Math.round(1e6 * Math.exp(0.3 * normal()));
    }
    return columns;
  });
  return { sessions, bars };
}

/** Copies the numbers of one row onto another of the same symbol. */
export function copyRow(bars: BarColumns, from: number, to: number): void {
  for (const column of [bars.open, bars.high, bars.low, bars.close, bars.volume])
    column[to] = column[from] ?? 0;
}

/** Multiplies the prices of a row. */
export function scaleRow(bars: BarColumns, row: number, factor: number): void {
  for (const column of [bars.open, bars.high, bars.low, bars.close]) {
    column[row] = Math.round((column[row] ?? 0) * factor * 100) / 100;
  }
}

/** The same columns without some rows. */
export function withoutRows(bars: BarColumns, rows: readonly number[]): BarColumns {
  const keep = (_: unknown, row: number): boolean => !rows.includes(row);
  return {
    symbol: bars.symbol,
    epochDays: bars.epochDays.filter(keep),
    open: bars.open.filter(keep),
    high: bars.high.filter(keep),
    low: bars.low.filter(keep),
    close: bars.close.filter(keep),
    volume: bars.volume.filter(keep),
  };
}
