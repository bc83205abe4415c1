/** Bars for the benchmarks: values laid out field by field (high, low, close, volume), symbol by symbol. */
export interface BenchBars {
  source: string;
  symbols: number;
  sessions: number;
  values: Float64Array;
}

const SYMBOLS = 505;
const SESSIONS = 1259;

/** A seeded random market of the size of the bundled set. */
function synthesize(): BenchBars {
  let state = 12_345;
  const random = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  const values = new Float64Array(4 * SYMBOLS * SESSIONS);
  const size = SYMBOLS * SESSIONS;
  for (let symbol = 0; symbol < SYMBOLS; symbol += 1) {
    let close = 20 + 200 * random();
    for (let session = 0; session < SESSIONS; session += 1) {
      const at = symbol * SESSIONS + session;
      const open = close;
      close *= Math.exp(0.02 * (random() + random() + random() - 1.5));
      values[at] = Math.max(open, close) * (1 + 0.005 * random());
      values[size + at] = Math.min(open, close) * (1 - 0.005 * random());
      values[2 * size + at] = close;
      values[3 * size + at] = Math.round(1e6 * (0.5 + random()));
    }
  }
  return { source: 'synthetic', symbols: SYMBOLS, sessions: SESSIONS, values };
}

export async function loadBenchBars(): Promise<BenchBars> {
  return synthesize();
}
