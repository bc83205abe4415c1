import { createBarColumns, epochDayOf, type PriceBasis } from '../../src/domain/bars.ts';
import type { DividendAction, Instrument, SplitAction } from '../../src/domain/market-data.ts';
import { NotFoundError, type ProviderError } from '../../src/providers/errors.ts';
import type {
  BarsValue,
  MarketDataProvider,
  ProviderCoverage,
  RangeRequest,
  SymbolResult,
  SymbolsRequest,
} from '../../src/providers/port.ts';

/** open, high, low, close, volume; NaN = null. */
export type Row = readonly [number, number, number, number, number];

/** A live source whose answers a test changes while nights go by; it tells what it was asked. */
export class ScriptedProvider implements MarketDataProvider {
  readonly id: string;
  readonly rows = new Map<string, Map<string, Row>>();
  readonly errors = new Map<string, ProviderError>();
  readonly requests: { symbols: readonly string[]; from: string; to: string }[] = [];
  splits: SplitAction[] = [];
  dividends: DividendAction[] = [];
  basis: PriceBasis = { splits: 'adjusted', dividends: 'asTraded', asOf: '2018-01-24' };
  fetchedAt = '2018-02-01T03:45:00Z';
  /** What the source lists; null: it cannot. */
  symbols: string[] | null = null;
  /** First session of each symbol as the source says it; empty: it has no instruments. */
  readonly firstSessions = new Map<string, string>();
  /** Where the source begins; null: nobody knows. */
  firstSession: string | null = null;
  /** Where the source ends, as an archive does; null: it is live. */
  lastSession: string | null = null;
  /** Called before an answer is given. */
  beforeBars: (request: RangeRequest) => Promise<void> = async () => undefined;

  constructor(id = 'scripted') {
    this.id = id;
  }

  set(symbol: string, sessionDate: string, row: Row | null): void {
    const rows = this.rows.get(symbol) ?? new Map<string, Row>();
    this.rows.set(symbol, rows);
    if (row === null) rows.delete(sessionDate);
    else rows.set(sessionDate, row);
  }

  async coverage(): Promise<ProviderCoverage> {
    return {
      provider: this.id,
      dataset: `${this.id}-live`,
      firstSession: this.firstSession,
      lastSession: this.lastSession,
      symbols: this.symbols,
      basis: this.basis,
      survivorship: 'unknown',
      has: {
        corporateActions: true,
        fundamentals: false,
        instruments: this.firstSessions.size > 0,
      },
    };
  }

  async bars(request: RangeRequest): Promise<readonly SymbolResult<BarsValue>[]> {
    this.requests.push({ symbols: [...request.symbols], from: request.from, to: request.to });
    await this.beforeBars(request);
    request.signal?.throwIfAborted();
    return request.symbols.map((symbol) => {
      const error = this.errors.get(symbol) ?? this.#unknown(symbol);
      if (error !== null) return { ok: false, symbol, error, attempts: [] };
      return { ok: true, symbol, value: this.#value(symbol, request), provenance: this.#provenance() };
    });
  }

  async corporateActions(request: RangeRequest) {
    return request.symbols.map((symbol) => {
      const isAsked = (action: SplitAction | DividendAction): boolean =>
        action.symbol === symbol && action.exDate >= request.from && action.exDate <= request.to;
      const value = { splits: this.splits.filter(isAsked), dividends: this.dividends.filter(isAsked) };
      return { ok: true, symbol, value, provenance: this.#provenance() } as const;
    });
  }

  async fundamentals(): Promise<readonly SymbolResult<never>[]> {
    return [];
  }

  async instruments({ symbols }: SymbolsRequest): Promise<readonly SymbolResult<Instrument>[]> {
    return symbols.map((symbol): SymbolResult<Instrument> => {
      const firstSession = this.firstSessions.get(symbol);
      if (firstSession === undefined) {
        const error = new NotFoundError(`${this.id} has no ${symbol}`, { provider: this.id, symbol });
        return { ok: false, symbol, error, attempts: [] };
      }
      const listing = { exchange: 'XNYS', currency: 'USD', metadataAsOf: '2018-01-24' };
      const value = { symbol, name: symbol, sector: 'none', firstSession, ...listing };
      return { ok: true, symbol, value, provenance: this.#provenance() };
    });
  }

  #unknown(symbol: string): ProviderError | null {
    if (this.rows.has(symbol)) return null;
    return new NotFoundError(`${this.id} does not know ${symbol}`, { provider: this.id, symbol });
  }

  #provenance() {
    return { provider: this.id, dataset: `${this.id}-live`, fetchedAt: this.fetchedAt, fallbackFrom: [] };
  }

  #value(symbol: string, { from, to }: RangeRequest): BarsValue {
    const rows = [...(this.rows.get(symbol) ?? [])]
      .filter(([date]) => date.slice(0, 10) >= from && date.slice(0, 10) <= to)
      .sort(([a], [b]) => (a < b ? -1 : 1));
    const bars = createBarColumns(symbol, rows.length);
    for (const [index, [date, [open, high, low, close, volume]]] of rows.entries()) {
      // A suffix after the date makes a second row for the same session.
      bars.epochDays[index] = epochDayOf(date.slice(0, 10));
      bars.open[index] = open;
      bars.high[index] = high;
      bars.low[index] = low;
      bars.close[index] = close;
      bars.volume[index] = volume;
    }
    return { bars, basis: this.basis };
  }
}

/** A calm bar around a price. */
export function bar(price: number, volume = 1_000_000): Row {
  return [price, price * 1.01, price * 0.99, price * 1.002, volume];
}
