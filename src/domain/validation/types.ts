import type { BarColumns, EpochDay, SessionDate } from '../bars.ts';
import type { ValidationRules } from './rules.ts';

/** Why a row cannot be true. It goes to quarantine. */
export const IMPOSSIBLE_CODES = [
  'nullPrice',
  'nonPositivePrice',
  'badVolume',
  'ohlcOrder',
  'duplicateSession',
  'notASession',
] as const;

/** Why a row is doubtful. It is kept, and from `availableAtSession` on counts as missing. */
export const DOUBTFUL_CODES = [
  'oneDayReversal',
  'marketWideReversal',
  'repeatedBar',
  'identicalSeries',
  'zeroVolume',
] as const;

/** Worth a line in the report; the row stays usable, because real markets do this. */
export const NOTE_CODES = ['jump', 'levelShift', 'staleBar'] as const;

export type ImpossibleCode = (typeof IMPOSSIBLE_CODES)[number];
export type DoubtfulCode = (typeof DOUBTFUL_CODES)[number];
export type NoteCode = (typeof NOTE_CODES)[number];
export type ReasonCode = ImpossibleCode | DoubtfulCode | NoteCode;
export type Severity = 'impossible' | 'doubtful' | 'note';

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
  /** First session at whose close this could be known (a reversal: the session after the row's). */
  readonly availableAtSession: SessionDate;
}

/** A session on which many symbols are wrong at once. */
export interface SessionFinding {
  readonly sessionDate: SessionDate;
  readonly code: 'marketWideReversal' | 'repeatedSession';
  readonly reason: string;
  /** Symbols concerned, of those with a bar that session. */
  readonly symbols: number;
  readonly symbolsWithBar: number;
  readonly availableAtSession: SessionDate;
}

export interface SymbolValidation {
  readonly symbol: string;
  readonly rows: number;
  /** BAR_OK, BAR_DOUBTFUL or BAR_IMPOSSIBLE per input row: the worst of `findings`; notes are ok. */
  readonly states: Uint8Array;
  /** Ordered by row. A row can have several. */
  readonly findings: readonly BarFinding[];
  /** Sessions of the range after the symbol's first row for which there is no row at all. */
  readonly missingSessions: readonly SessionDate[];
}

export interface ValidationInput {
  /**
   * The reference set: all symbols the source has, whatever the night's universe is, else a flag would
   * depend on who asks. Rows by date; at least `rules.lookbackSessions` of them before `revealedFrom`.
   */
  readonly bars: readonly BarColumns[];
  /** Epoch days of all exchange sessions (`calendar.epochDays`). */
  readonly sessions: Int32Array;
  /** Only findings that became known from this session on (default: all). */
  readonly revealedFrom?: SessionDate;
  /** Nothing after the close of this session is looked at. */
  readonly revealedThrough: SessionDate;
  readonly rules?: ValidationRules;
}

export interface ValidationReport {
  /** In the order of the input. */
  readonly symbols: readonly SymbolValidation[];
  readonly sessions: readonly SessionFinding[];
  readonly rows: number;
  /** Findings per code. */
  readonly counts: Readonly<Record<ReasonCode, number>>;
  readonly missingSessions: number;
}
