import type { BarColumns, PriceBasis, SessionDate } from '../domain/bars.ts';
import type {
  CorporateActions,
  FundamentalRecord,
  Instrument,
  SplitAction,
  Survivorship,
} from '../domain/market-data.ts';
import type { ProviderError } from './errors.ts';

/** Where a value came from. `fetchedAt` is an ISO instant (UTC); an archive gives the day it was made. */
export interface Provenance {
  readonly provider: string;
  readonly dataset: string;
  readonly fetchedAt: string;
  /** Providers asked before this one, with why they did not answer. Empty for the first choice. */
  readonly fallbackFrom: readonly ProviderAttempt[];
}

export interface ProviderAttempt {
  readonly provider: string;
  readonly outcome: ProviderError['code'] | 'notCovered';
  readonly message: string;
}

/** One per requested symbol, in the order of the request: one bad symbol never fails the batch. */
export type SymbolResult<Value> =
  | {
      readonly ok: true;
      readonly symbol: string;
      readonly value: Value;
      readonly provenance: Provenance;
      /** Set by a chain: who can have the end of the range and answered, this source among them or not. */
      readonly answeredBy?: readonly string[];
      /** Set by a chain for an answer that ends early: everybody who was asked, and why nobody has more. */
      readonly attempts?: readonly ProviderAttempt[];
    }
  | {
      readonly ok: false;
      readonly symbol: string;
      readonly error: ProviderError;
      readonly attempts: readonly ProviderAttempt[];
    };

export interface SymbolsRequest {
  readonly symbols: readonly string[];
  /** Nothing that became known after the close of this session is shown. */
  readonly asOfSession: SessionDate;
  readonly signal?: AbortSignal | undefined;
  /** Called between symbols, for heartbeats. */
  readonly onProgress?: ((progress: { readonly done: number; readonly total: number }) => void) | undefined;
  /** The caller will not ask again: a chain may then leave a rate-limited or failing source. */
  readonly finalAttempt?: boolean | undefined;
}

/** Sessions `from` to `to`, both included; never beyond `asOfSession`. */
export interface RangeRequest extends SymbolsRequest {
  readonly from: SessionDate;
  readonly to: SessionDate;
}

/** No rows means: the symbol is known, the source has no bar in the range. Null prices are NaN. */
export interface BarsValue {
  readonly bars: BarColumns;
  readonly basis: PriceBasis;
}

export interface ProviderCoverage {
  readonly provider: string;
  readonly dataset: string;
  /** Range in which the source can have daily bars. Null = open (a live source has no last session). */
  readonly firstSession: SessionDate | null;
  readonly lastSession: SessionDate | null;
  /** Symbols the source lists, sorted; null if it cannot list them. */
  readonly symbols: readonly string[] | null;
  readonly basis: PriceBasis;
  readonly survivorship: Survivorship;
  readonly has: {
    readonly corporateActions: boolean;
    readonly fundamentals: boolean;
    readonly instruments: boolean;
  };
}

export interface SplitSourcesRequest {
  /** Each with the source that reported it. */
  readonly splits: readonly { readonly split: SplitAction; readonly provider: string }[];
  readonly asOfSession: SessionDate;
  readonly signal?: AbortSignal | undefined;
}

/** Which other sources could have a split, and which of them report the same. */
export interface SplitSources {
  readonly split: SplitAction;
  readonly asked: readonly string[];
  readonly confirmedBy: readonly string[];
}

/** Which sources could have bars of a symbol in a range, who of them answered, and who of those has any. */
export interface BarSources {
  readonly symbol: string;
  readonly asked: readonly string[];
  readonly answered: readonly string[];
  readonly withBars: readonly string[];
}

/**
 * A source of daily market data. Results are per symbol; a method rejects only when the whole
 * source is unusable, always with a ProviderError. See docs/how-to/add-a-provider.md.
 */
export interface MarketDataProvider {
  readonly id: string;
  coverage(): Promise<ProviderCoverage>;
  bars(request: RangeRequest): Promise<readonly SymbolResult<BarsValue>[]>;
  /** Actions with an ex date in the range. */
  corporateActions(request: RangeRequest): Promise<readonly SymbolResult<CorporateActions>[]>;
  /** All records available at `asOfSession`, oldest first. */
  fundamentals(request: SymbolsRequest): Promise<readonly SymbolResult<readonly FundamentalRecord[]>[]>;
  instruments(request: SymbolsRequest): Promise<readonly SymbolResult<Instrument>[]>;
  /** Only a chain of several has it: one answer per split, in the order of the request. */
  readonly splitSources?: (request: SplitSourcesRequest) => Promise<readonly SplitSources[]>;
  /** Only a chain of several has it: one answer per symbol, in the order of the request. */
  readonly barSources?: (request: RangeRequest) => Promise<readonly BarSources[]>;
}
