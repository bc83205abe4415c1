import type { OofPanel } from '../metrics/panel.ts';
import { createRng } from '../statistics/rng.ts';

export interface SyntheticMarketOptions {
  readonly seed: number;
  readonly sessions: number;
  readonly symbols: number;
  readonly models: number;
  /** Correlation of the first model's score with the next return's own part; 0 is a market without edge. */
  readonly signal: number;
  readonly horizonSessions?: number;
}

export interface SyntheticMarket {
  readonly panel: OofPanel;
  readonly models: Record<string, Float64Array>;
}

/**
 * A market for tests: a market factor, four sectors, own noise; models with persistent scores that share most of
 * their errors, as real ones do. Only the first model sees the signal, if there is any.
 */
export function syntheticMarket(options: SyntheticMarketOptions): SyntheticMarket {
  const { seed, sessions, symbols, models, signal, horizonSessions = 1 } = options;
  const rng = createRng(seed + 1_000);
  const n = sessions * symbols;
  const own = Float64Array.from({ length: (sessions + horizonSessions) * symbols }, () => rng.normal());
  const daily = new Float64Array(own.length);
  for (let t = 0; t < sessions + horizonSessions; t += 1) {
    const market = 0.01 * rng.normal();
    const sectors = Array.from({ length: 4 }, () => 0.005 * rng.normal());
    for (let i = 0; i < symbols; i += 1) {
      daily[t * symbols + i] = market + (sectors[i % 4] ?? 0) + 0.015 * (own[t * symbols + i] ?? 0);
    }
  }
  const panel: OofPanel = {
    session: Int32Array.from({ length: n }, (_, row) => Math.floor(row / symbols)),
    symbol: Int32Array.from({ length: n }, (_, row) => row % symbols),
    block: Int32Array.from({ length: n }, (_, row) => Math.floor(row / symbols / 63)),
    target: new Float64Array(n),
    forwardReturn: new Float64Array(n),
    excessReturn: new Float64Array(n),
    baseRate: new Float64Array(n).fill(0.5),
  };
  for (let t = 0; t < sessions; t += 1) {
    const forward = Float64Array.from({ length: symbols }, (_, i) => {
      let sum = 0;
      for (let k = 1; k <= horizonSessions; k += 1) sum += daily[(t + k) * symbols + i] ?? 0;
      return sum;
    });
    const median = Float64Array.from(forward).sort()[Math.floor(symbols / 2)] ?? 0;
    forward.forEach((value, i) => {
      panel.forwardReturn[t * symbols + i] = value;
      panel.excessReturn[t * symbols + i] = value - median;
      panel.target[t * symbols + i] = value > median ? 1 : 0;
    });
  }
  const shared = persistentScores(rng, sessions, symbols);
  const columns = Array.from({ length: models }, (_, model) => {
    const noise = persistentScores(rng, sessions, symbols);
    const weight = model === 0 ? signal : 0;
    return Float64Array.from({ length: n }, (_, row) => {
      const score = 0.85 * (shared[row] ?? 0) + 0.53 * (noise[row] ?? 0);
      const tomorrow = own[row + symbols] ?? 0;
      const mixed = Math.sqrt(1 - weight * weight) * score + weight * tomorrow;
      return 1 / (1 + Math.exp(-0.12 * mixed));
    });
  });
  return { panel, models: Object.fromEntries(columns.map((column, model) => [`model${model}`, column])) };
}

/** Standard normal scores per symbol with a half-life of about three weeks. */
function persistentScores(
  rng: ReturnType<typeof createRng>,
  sessions: number,
  symbols: number,
): Float64Array {
  const scores = new Float64Array(sessions * symbols);
  for (let i = 0; i < symbols; i += 1) scores[i] = rng.normal();
  for (let row = symbols; row < scores.length; row += 1) {
    scores[row] = 0.95 * (scores[row - symbols] ?? 0) + Math.sqrt(1 - 0.95 ** 2) * rng.normal();
  }
  return scores;
}
