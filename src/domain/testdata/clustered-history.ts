import { baselineRange, type MonitoredSeries } from '../drift-monitor.ts';
import { createRng } from '../statistics/rng.ts';

/** Symbols of a session, and sessions of a baseline. */
export const SYMBOLS = 20;
export const TRAIN = 420;

export interface History {
  readonly columns: Float32Array[];
  readonly rowStarts: Int32Array;
  readonly sessions: number;
}

/**
 * Clustered features: values of a session share a factor of the feature and one of the market, both persistent,
 * and a market-wide volatility regime. `common` is the share of variance that the symbols share.
 */
export function history(options: {
  seed: number;
  sessions: number;
  features: number;
  common: number;
  persistence: number;
  regime?: number;
}): History {
  const { sessions, features, common, persistence, regime: strength = 0.2 } = options;
  const rng = createRng(options.seed);
  const fresh = Math.sqrt(1 - persistence ** 2);
  const market = new Float64Array(sessions);
  const volatility = new Float64Array(sessions);
  let level = rng.normal();
  let regime = 0;
  for (let t = 0; t < sessions; t += 1) {
    level = persistence * level + fresh * rng.normal();
    regime = 0.97 * regime + Math.sqrt(1 - 0.97 ** 2) * rng.normal();
    market[t] = level;
    volatility[t] = Math.exp(strength * regime);
  }
  const columns = Array.from({ length: features }, () => {
    const column = new Float32Array(sessions * SYMBOLS);
    let own = rng.normal();
    for (let t = 0; t < sessions; t += 1) {
      own = persistence * own + fresh * rng.normal();
      const shared = Math.sqrt(common) * (0.7 * (market[t] ?? 0) + 0.714 * own);
      for (let i = 0; i < SYMBOLS; i += 1) {
        column[t * SYMBOLS + i] = (volatility[t] ?? 1) * (shared + Math.sqrt(1 - common) * rng.normal());
      }
    }
    return column;
  });
  return { columns, rowStarts: Int32Array.from({ length: sessions + 1 }, (_, t) => t * SYMBOLS), sessions };
}

/** The series of a night: a rolling baseline of TRAIN sessions and the last 21 sessions. */
export function seriesAt({ columns, rowStarts }: History, session: number): MonitoredSeries[] {
  const range = baselineRange({
    trainFirstSession: session - 20 - TRAIN,
    trainLastSession: session - 1,
    session,
    horizonSessions: 1,
  });
  if (range === null) throw new Error('the history is too short');
  return columns.map((values, i) => ({
    name: `f${i}`,
    kind: 'feature',
    baseline: { values, rowStarts, ...range },
    current: { values, rowStarts, firstSession: session - 20, lastSession: session },
  }));
}

/** The history with one column changed in its last `last` sessions. */
export function shifted(base: History, last: number, change: (x: number) => number): History {
  const start = base.rowStarts[base.sessions - last] ?? 0;
  const [first = new Float32Array(), ...others] = base.columns;
  return { ...base, columns: [first.map((x, row) => (row >= start ? change(x) : x)), ...others] };
}

/** A calm history that ends with the night `LAST`. */
export const BASE = history({
  seed: 1,
  sessions: TRAIN + 60,
  features: 6,
  common: 0.1,
  persistence: 0.5,
  regime: 0.05,
});
export const LAST = BASE.sessions - 1;
