import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sessionDateOf, type BarColumns } from '../../src/domain/bars.ts';
import { decodeBarsFile } from '../../src/providers/archive/bars-file.ts';

/** Bars for the benchmarks, by symbol; every symbol's rows without gaps. */
export interface BenchBars {
  source: string;
  symbols: ReadonlyMap<string, BarColumns>;
}

const SYMBOLS = 505;
const SESSIONS = 1259;
const FIRST_DAY = 15_744;

/** The bundled set (data/sample), or a seeded random market of its size where the data is not there. */
export async function loadBenchBars(): Promise<BenchBars> {
  const path = join('data', 'sample', 'bars.parquet');
  if (!existsSync(path)) return { source: 'synthetic market', symbols: synthesize() };
  const bytes = new Uint8Array(readFileSync(path));
  const { symbols } = await decodeBarsFile({ bytes, priceScale: 10_000, provider: 'bench' });
  return { source: path, symbols: new Map([...symbols].map(([name, bars]) => [name, complete(bars)])) };
}

/** Rows that have every field: 11 of the bundled 619,040 have none or only a close. */
function complete(bars: BarColumns): BarColumns {
  const kept = bars.open
    .map((_, i) => i)
    .filter((i) => Number.isFinite(bars.open[i]! + bars.high[i]! + bars.low[i]! + bars.close[i]!));
  const pick = (values: Float64Array): Float64Array => kept.map((i) => values[i]!);
  return {
    symbol: bars.symbol,
    epochDays: Int32Array.from(kept, (i) => bars.epochDays[i]!),
    open: pick(bars.open),
    high: pick(bars.high),
    low: pick(bars.low),
    close: pick(bars.close),
    volume: pick(bars.volume),
  };
}

function synthesize(): Map<string, BarColumns> {
  let state = 12_345;
  const random = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  const weekdays = Array.from({ length: SESSIONS * 2 }, (_, i) => FIRST_DAY + i).filter(
    (day) => (day + 3) % 7 < 5,
  );
  const market = new Map<string, BarColumns>();
  for (let s = 0; s < SYMBOLS; s += 1) {
    const symbol = `S${String(s).padStart(3, '0')}`;
    const open = new Float64Array(SESSIONS);
    const bars = { open, high: open.slice(), low: open.slice(), close: open.slice(), volume: open.slice() };
    let price = 20 + 200 * random();
    for (let i = 0; i < SESSIONS; i += 1) {
      bars.open[i] = price * (1 + 0.01 * (random() - 0.5));
      price *= Math.exp(0.02 * (random() + random() + random() - 1.5));
      bars.close[i] = price;
      bars.high[i] = Math.max(bars.open[i]!, price) * (1 + 0.005 * random());
      bars.low[i] = Math.min(bars.open[i]!, price) * (1 - 0.005 * random());
      bars.volume[i] = Math.round(1e6 * (0.5 + random()));
    }
    market.set(symbol, { symbol, epochDays: Int32Array.from(weekdays.slice(0, SESSIONS)), ...bars });
  }
  return market;
}

/** The bars on one calendar, as the feature code takes them: NaN where a symbol has no row. */
export function alignBars(market: ReadonlyMap<string, BarColumns>): {
  sessions: string[];
  symbols: string[];
  open: Float64Array[];
  high: Float64Array[];
  low: Float64Array[];
  close: Float64Array[];
  volume: Float64Array[];
} {
  const days = [...new Set([...market.values()].flatMap(({ epochDays }) => [...epochDays]))].sort(
    (a, b) => a - b,
  );
  const indexOf = new Map(days.map((day, i) => [day, i]));
  const symbols = [...market.keys()].sort();
  const field = (name: 'open' | 'high' | 'low' | 'close' | 'volume'): Float64Array[] =>
    symbols.map((symbol) => {
      const bars = market.get(symbol)!;
      const out = new Float64Array(days.length).fill(Number.NaN);
      for (const [row, day] of bars.epochDays.entries()) out[indexOf.get(day)!] = bars[name][row]!;
      return out;
    });
  return {
    sessions: days.map(sessionDateOf),
    symbols,
    open: field('open'),
    high: field('high'),
    low: field('low'),
    close: field('close'),
    volume: field('volume'),
  };
}
