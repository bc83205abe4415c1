/** Open and close by session and symbol, at `session * symbols + symbol`; NaN = missing, quarantined or flagged. */
export interface PriceGrid {
  readonly sessions: number;
  readonly symbols: number;
  readonly open: Float64Array;
  readonly close: Float64Array;
}

/** Orders decided after the close of a session; weights are signed shares of capital. */
export interface TradePlan {
  readonly session: Int32Array;
  readonly symbol: Int32Array;
  readonly weight: Float64Array;
}

export interface TradingCosts {
  /** Commission + half-spread + slippage in basis points of the traded notional, each side; default 5. */
  readonly costBpsPerSide?: number;
  /** Yearly fee for borrowed shares in basis points of the short notional, 252 sessions a year; default 50. */
  readonly borrowBpsPerYear?: number;
}

export const FILL_STATUS = ['filled', 'missing_entry', 'missing_exit', 'pending'] as const;
export type FillStatus = (typeof FILL_STATUS)[number];

/** One row per planned trade; everything is 0 for a trade that was not filled. All amounts are shares of capital. */
export interface Positions {
  readonly session: Int32Array;
  readonly symbol: Int32Array;
  readonly weight: Float64Array;
  /** Index into FILL_STATUS. */
  readonly status: Uint8Array;
  /** weight · (exit / entry - 1). */
  readonly gross: Float64Array;
  readonly cost: Float64Array;
  readonly borrow: Float64Array;
  readonly traded: Float64Array;
}

/** Per trading session, from the first entry to the last exit; shares of capital. */
export interface DailyBooks {
  /** Session index of the first element. */
  readonly firstSession: number;
  readonly gross: Float64Array;
  readonly cost: Float64Array;
  readonly borrow: Float64Array;
  /** gross - cost - borrow. */
  readonly net: Float64Array;
  /** Bought and sold notional. */
  readonly traded: Float64Array;
  /** Sum of entry weights held during the session; shorts as a positive number. */
  readonly longExposure: Float64Array;
  readonly shortExposure: Float64Array;
}

export interface Simulation {
  readonly positions: Positions;
  readonly daily: DailyBooks;
  readonly fills: Readonly<Record<FillStatus, number>>;
  /** Filled trades that left at a later close than planned; 0 unless `closesLate`. */
  readonly closedLate: number;
}

const SESSIONS_PER_YEAR = 252;

/**
 * Carry out a plan: in at the open of S+1, out at the close of S+h, nothing netted. A trade without entry or exit
 * price is not filled and its capital stays in cash, nothing is spread over the others (a missing exit could not be
 * foreseen, so it is counted in `fills`; with `closesLate` the trade leaves at the next close there is, as it would
 * have); one whose exit lies beyond the grid is pending. A close missing in between
 * is carried forward. On each session a position earns its entry weight times the change of price over the entry
 * price: its days add up to weight · (exit / entry - 1). Throws RangeError for negative costs, a horizon outside
 * 1..20 or a row off the grid.
 */
export function simulate(
  plan: TradePlan,
  prices: PriceGrid,
  options: TradingCosts & { readonly horizonSessions: number; readonly closesLate?: boolean },
): Simulation {
  const { costBpsPerSide = 5, borrowBpsPerYear = 50, horizonSessions, closesLate = false } = options;
  assertOptions({ costBpsPerSide, borrowBpsPerYear, horizonSessions });
  const n = plan.session.length;
  const positions: Positions = {
    session: plan.session,
    symbol: plan.symbol,
    weight: plan.weight,
    status: new Uint8Array(n),
    gross: new Float64Array(n),
    cost: new Float64Array(n),
    borrow: new Float64Array(n),
    traded: new Float64Array(n),
  };
  const daily = emptyBooks(plan, prices, { horizonSessions, closesLate });
  const rates = {
    cost: costBpsPerSide / 10_000,
    borrow: borrowBpsPerYear / 10_000 / SESSIONS_PER_YEAR,
    horizonSessions,
    closesLate,
  };
  const counts = [0, 0, 0, 0];
  let closedLate = 0;
  for (let row = 0; row < n; row += 1) {
    const { status, isLate } = tradeOne(row, { positions, daily, prices, rates });
    positions.status[row] = status;
    closedLate += Number(isLate);
    counts[status] = (counts[status] as number) + 1;
  }
  for (let day = 0; day < daily.net.length; day += 1) {
    daily.net[day] =
      (daily.gross[day] as number) - (daily.cost[day] as number) - (daily.borrow[day] as number);
  }
  const [filled = 0, missing_entry = 0, missing_exit = 0, pending = 0] = counts;
  return { positions, daily, fills: { filled, missing_entry, missing_exit, pending }, closedLate };
}

function assertOptions(options: {
  costBpsPerSide: number;
  borrowBpsPerYear: number;
  horizonSessions: number;
}): void {
  const { costBpsPerSide, borrowBpsPerYear, horizonSessions } = options;
  if (!(costBpsPerSide >= 0)) throw new RangeError(`costBpsPerSide must be >= 0, got ${costBpsPerSide}`);
  if (!(borrowBpsPerYear >= 0))
    throw new RangeError(`borrowBpsPerYear must be >= 0, got ${borrowBpsPerYear}`);
  if (!Number.isInteger(horizonSessions) || horizonSessions < 1 || horizonSessions > 20) {
    throw new RangeError(`horizonSessions must be an integer in 1..20, got ${horizonSessions}`);
  }
}

function emptyBooks(
  plan: TradePlan,
  prices: PriceGrid,
  { horizonSessions, closesLate }: { horizonSessions: number; closesLate: boolean },
): DailyBooks {
  let first = Infinity;
  let last = -Infinity;
  for (let row = 0; row < plan.session.length; row += 1) {
    const session = plan.session[row] as number;
    const symbol = plan.symbol[row] as number;
    if (session < 0 || session >= prices.sessions || symbol < 0 || symbol >= prices.symbols) {
      throw new RangeError(`row ${row} (session ${session}, symbol ${symbol}) lies off the price grid`);
    }
    if (session + horizonSessions >= prices.sessions) continue;
    first = Math.min(first, session);
    last = Math.max(last, session);
  }
  const planned = last >= first ? last - first + horizonSessions : 0;
  // A late exit may come on any session that is left.
  const length = closesLate && planned > 0 ? prices.sessions - 1 - first : planned;
  const column = (): Float64Array => new Float64Array(length);
  return {
    firstSession: length === 0 ? 0 : first + 1,
    gross: column(),
    cost: column(),
    borrow: column(),
    net: column(),
    traded: column(),
    longExposure: column(),
    shortExposure: column(),
  };
}

interface Ledger {
  readonly positions: Positions;
  readonly daily: DailyBooks;
  readonly prices: PriceGrid;
  readonly rates: {
    readonly cost: number;
    readonly borrow: number;
    readonly horizonSessions: number;
    readonly closesLate: boolean;
  };
}

/** Book one trade on its position row and on the days it is held; returns its status index. */
function tradeOne(
  row: number,
  { positions, daily, prices, rates }: Ledger,
): { status: number; isLate: boolean } {
  const symbol = positions.symbol[row] as number;
  const entrySession = (positions.session[row] as number) + 1;
  const dueSession = entrySession + rates.horizonSessions - 1;
  if (dueSession >= prices.sessions) return { status: 3, isLate: false };
  const closeOf = (session: number): number => prices.close[session * prices.symbols + symbol] as number;
  let exitSession = dueSession;
  if (rates.closesLate) {
    while (exitSession < prices.sessions - 1 && !(closeOf(exitSession) > 0)) exitSession += 1;
  }
  const entry = prices.open[entrySession * prices.symbols + symbol] as number;
  const exit = closeOf(exitSession);
  if (!(entry > 0)) return { status: 1, isLate: false };
  if (!(exit > 0)) return { status: 2, isLate: false };
  const weight = positions.weight[row] as number;
  const size = Math.abs(weight);
  let previous = entry;
  for (let session = entrySession; session <= exitSession; session += 1) {
    const day = session - daily.firstSession;
    const close = closeOf(session);
    const mark = close > 0 ? close : previous;
    add(daily.gross, day, (weight * (mark - previous)) / entry);
    add(weight > 0 ? daily.longExposure : daily.shortExposure, day, size);
    if (weight < 0) add(daily.borrow, day, size * rates.borrow);
    previous = mark;
  }
  const sold = size * (exit / entry);
  add(daily.traded, entrySession - daily.firstSession, size);
  add(daily.traded, exitSession - daily.firstSession, sold);
  add(daily.cost, entrySession - daily.firstSession, size * rates.cost);
  add(daily.cost, exitSession - daily.firstSession, sold * rates.cost);
  positions.gross[row] = weight * (exit / entry - 1);
  positions.cost[row] = (size + sold) * rates.cost;
  positions.traded[row] = size + sold;
  positions.borrow[row] = weight < 0 ? size * rates.borrow * (exitSession - entrySession + 1) : 0;
  return { status: 0, isLate: exitSession > dueSession };
}

function add(column: Float64Array, index: number, amount: number): void {
  column[index] = (column[index] as number) + amount;
}
