import type { MarketPanel } from '../../src/activities/datasets/market-panel.ts';
import { createRng } from '../../src/domain/statistics/rng.ts';

/**
 * Bars of a market that does not exist: a market factor, four sectors, own moves by night and by day. With `momentum`
 * 0 no past move says anything of a coming one; otherwise a symbol's own move of the day repeats itself the next
 * day by that share. Weekdays, no gaps, nothing doubtful.
 */
export function syntheticPanel(options: {
  seed: number;
  symbols: number;
  sessions: number;
  lastSession: string;
  momentum: number;
}): MarketPanel {
  const { seed, symbols: count, momentum } = options;
  const rng = createRng(seed);
  const sessions = weekdaysTo(options.lastSession, options.sessions);
  const column = (): Float64Array[] => Array.from({ length: count }, () => new Float64Array(sessions.length));
  const [open, high, low, close, volume] = [column(), column(), column(), column(), column()];
  const price = Array.from({ length: count }, () => 20 + 80 * rng.uniform());
  const ownMove = new Float64Array(count);
  for (let t = 0; t < sessions.length; t += 1) {
    const [nightMarket, dayMarket] = [0.004 * rng.normal(), 0.006 * rng.normal()];
    const sectors = Array.from({ length: 4 }, () => 0.003 * rng.normal());
    for (let i = 0; i < count; i += 1) {
      const from = (price[i] ?? 0) * Math.exp(nightMarket + 0.005 * rng.normal());
      ownMove[i] = momentum * (ownMove[i] ?? 0) + 0.012 * rng.normal();
      const to = from * Math.exp(dayMarket + (sectors[i % 4] ?? 0) + (ownMove[i] ?? 0));
      const put = (into: Float64Array[], value: number): void => {
        (into[i] as Float64Array)[t] = value;
      };
      put(open, from);
      put(close, to);
      put(high, Math.max(from, to) * Math.exp(0.004 * Math.abs(rng.normal())));
      put(low, Math.min(from, to) * Math.exp(-0.004 * Math.abs(rng.normal())));
      put(volume, Math.round(1e6 * Math.exp(0.4 * rng.normal())));
      price[i] = to;
    }
  }
  return {
    sessions,
    symbols: Array.from({ length: count }, (_, i) => `S${String(i).padStart(2, '0')}`),
    open,
    high,
    low,
    close,
    volume,
    states: Array.from({ length: count }, () => new Uint8Array(sessions.length)),
    cutoff: `${options.lastSession}T23:00:00.000Z`,
    survivorship: 'unbiased',
  };
}

function weekdaysTo(last: string, count: number): string[] {
  const days: string[] = [];
  for (let at = Date.parse(`${last}T00:00:00Z`); days.length < count; at -= 86_400_000) {
    const weekday = new Date(at).getUTCDay();
    if (weekday !== 0 && weekday !== 6) days.unshift(new Date(at).toISOString().slice(0, 10));
  }
  return days;
}
