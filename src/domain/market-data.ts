import type { SessionDate } from './bars.ts';

/** New shares per old share: 7/1 is a 7-for-1 split, 1/8 a reverse split. Known at the close of `exDate`. */
export interface SplitAction {
  readonly symbol: string;
  /** First session at the new price. */
  readonly exDate: SessionDate;
  readonly newShares: number;
  readonly oldShares: number;
}

/** A split as it is stored: who else was asked about it, and who of them reports the same. */
export interface ReportedSplit extends SplitAction {
  /** Other sources that could have it, by name; empty where there is none. */
  readonly asked: readonly string[];
  readonly confirmedBy: readonly string[];
}

/** Cash per share as traded on `exDate` (divide by later splits to compare with adjusted prices). */
export interface DividendAction {
  readonly symbol: string;
  readonly exDate: SessionDate;
  readonly cashAmount: number;
  readonly currency: string;
}

export interface CorporateActions {
  readonly splits: readonly SplitAction[];
  readonly dividends: readonly DividendAction[];
}

export type FundamentalKind = 'annual' | 'snapshot';

/** One statement or snapshot. Amounts in `currency`, ratios as the source gives them, null = not reported. */
export interface FundamentalRecord {
  readonly symbol: string;
  readonly kind: FundamentalKind;
  /** Last day of the fiscal period, or the day of the snapshot. */
  readonly periodEnd: SessionDate;
  /** First date on which it may be used: filing date, else period end + 90 days. */
  readonly availableAt: SessionDate;
  readonly currency: string;
  readonly metrics: Readonly<Record<string, number | null>>;
}

export interface Instrument {
  readonly symbol: string;
  readonly name: string;
  /** GICS sector as of `metadataAsOf`. */
  readonly sector: string;
  readonly exchange: string;
  readonly currency: string;
  /** First session with a bar of this company under this symbol. */
  readonly firstSession: SessionDate;
  /** Day of name and sector. Later than a past night: for grouping in reports, never a feature. */
  readonly metadataAsOf: SessionDate;
}

/** `unbiased`: members as they were then. `biased`: today's members projected back. */
export type Survivorship = 'biased' | 'unbiased' | 'unknown';
