import type { EpochDay, SessionDate } from '../bars.ts';

/** Why a row cannot be true. It goes to quarantine. */
export type ImpossibleCode =
  | 'nullPrice'
  | 'nonPositivePrice'
  | 'negativeVolume'
  | 'ohlcOrder'
  | 'duplicateSession'
  | 'notASession';

/** Why a row is doubtful. It is kept, and from `availableAtSession` on counts as missing. */
export type DoubtfulCode = 'oneDayReversal' | 'marketWideError' | 'splitLikeJump' | 'identicalSeries';

/** Worth a line in the report, the row stays usable: real markets do this. */
export type NoteCode = 'jump' | 'zeroVolume' | 'staleBar';

export type Severity = 'impossible' | 'doubtful' | 'note';
export type ReasonCode = ImpossibleCode | DoubtfulCode | NoteCode;

/** Row states in `SymbolValidation.states`. */
export const BAR_OK = 0;
export const BAR_DOUBTFUL = 1;
export const BAR_IMPOSSIBLE = 2;

export interface BarFinding {
  readonly symbol: string;
  /** Row in the validated columns. */
  readonly row: number;
  readonly epochDay: EpochDay;
  readonly sessionDate: SessionDate;
  readonly severity: Severity;
  readonly code: ReasonCode;
  /** One sentence for people, with the numbers. */
  readonly reason: string;
  /** First session at whose close this could be known (a reversal: the session after). */
  readonly availableAtSession: SessionDate;
}

export interface SymbolValidation {
  readonly symbol: string;
  readonly rows: number;
  /** One of BAR_OK, BAR_DOUBTFUL, BAR_IMPOSSIBLE per input row (worst finding wins, notes are ok). */
  readonly states: Uint8Array;
  /** Ordered by row, then code. */
  readonly findings: readonly BarFinding[];
  /** Exchange sessions between first and last row (or the asked range) without any row. */
  readonly missingSessions: readonly SessionDate[];
}
