import type { Characteristics } from '../../domain/backtest/exposure.ts';
import type { PriceGrid } from '../../domain/backtest/simulate.ts';

const BETA_SESSIONS = 126;
const BETA_MIN_SESSIONS = 63;
const SIZE_SESSIONS = 21;

type Columns = { sessions: readonly string[]; symbols: readonly string[] };
type Rows = { session: Int32Array; symbol: Int32Array };

/** Prices of a masked panel as the grid that trades are filled on. */
export function priceGrid(
  panel: Columns & { open: readonly Float64Array[]; close: readonly Float64Array[] },
): PriceGrid {
  const { sessions, symbols } = panel;
  const gather = (columns: readonly Float64Array[]): Float64Array =>
    Float64Array.from(
      { length: sessions.length * symbols.length },
      (_, i) => columns[i % symbols.length]?.[Math.floor(i / symbols.length)] ?? Number.NaN,
    );
  return {
    sessions: sessions.length,
    symbols: symbols.length,
    open: gather(panel.open),
    close: gather(panel.close),
  };
}

/**
 * Beta to the equal-weight universe over the 126 sessions up to a row's own (at least 63 returns), and size as the
 * mean dollar volume of 21 sessions; nothing later than the row's session. `field[symbol][session]`, NaN = missing.
 */
export function characteristicsOf(
  panel: Columns & { close: readonly Float64Array[]; volume: readonly Float64Array[] },
  rows: Rows,
): Required<Characteristics> {
  const returns = panel.close.map(returnsOf);
  const market = meanAcross(returns, panel.sessions.length);
  const betas = returns.map((own) => rollingBeta(own, market));
  const sizes = panel.close.map((close, s) => {
    const volume = panel.volume[s];
    return trailingMean(
      close.map((price, i) => price * (volume?.[i] ?? Number.NaN)),
      SIZE_SESSIONS,
    );
  });
  const pick = (columns: readonly Float64Array[]): Float64Array =>
    Float64Array.from(
      rows.session,
      (session, row) => columns[rows.symbol[row] ?? -1]?.[session] ?? Number.NaN,
    );
  return { beta: pick(betas), size: pick(sizes) };
}

function returnsOf(close: Float64Array): Float64Array {
  return close.map((price, i) => (i === 0 ? Number.NaN : price / (close[i - 1] ?? Number.NaN) - 1));
}

function meanAcross(columns: readonly Float64Array[], sessions: number): Float64Array {
  return Float64Array.from({ length: sessions }, (_, i) => {
    let sum = 0;
    let count = 0;
    for (const column of columns) {
      const value = column[i] ?? Number.NaN;
      if (!Number.isFinite(value)) continue;
      sum += value;
      count += 1;
    }
    return count === 0 ? Number.NaN : sum / count;
  });
}

function rollingBeta(own: Float64Array, market: Float64Array): Float64Array {
  const known = own.map((y, i) => (Number.isFinite(y) && Number.isFinite(market[i]) ? 1 : 0));
  const x = market.map((value, i) => (known[i] === 1 ? value : 0));
  const y = own.map((value, i) => (known[i] === 1 ? value : 0));
  const count = trailingSum(known, BETA_SESSIONS);
  const sumX = trailingSum(x, BETA_SESSIONS);
  const sumY = trailingSum(y, BETA_SESSIONS);
  const sumXX = trailingSum(
    x.map((value) => value * value),
    BETA_SESSIONS,
  );
  const sumXY = trailingSum(
    x.map((value, i) => value * (y[i] ?? 0)),
    BETA_SESSIONS,
  );
  return count.map((n, i) => {
    if (n < BETA_MIN_SESSIONS) return Number.NaN;
    const [mx, my] = [(sumX[i] ?? 0) / n, (sumY[i] ?? 0) / n];
    const variance = (sumXX[i] ?? 0) / n - mx * mx;
    return variance > 0 ? ((sumXY[i] ?? 0) / n - mx * my) / variance : Number.NaN;
  });
}

function trailingMean(values: Float64Array, window: number): Float64Array {
  const known = values.map((value) => (Number.isFinite(value) ? 1 : 0));
  const counts = trailingSum(known, window);
  const sums = trailingSum(
    values.map((value) => (Number.isFinite(value) ? value : 0)),
    window,
  );
  return sums.map((sum, i) => {
    const count = counts[i] ?? 0;
    return count === 0 ? Number.NaN : sum / count;
  });
}

/** Sums over the last `window` values, fewer at the start; summed anew each time, so that nothing accumulates. */
function trailingSum(values: Float64Array, window: number): Float64Array {
  return values.map((_, i) => {
    let sum = 0;
    for (let k = Math.max(0, i - window + 1); k <= i; k += 1) sum += values[k] ?? 0;
    return sum;
  });
}
