/**
 * Thresholds of the validation. Gaps are logarithms of open over previous close, minus the median
 * gap of all symbols that session; scales are 1.4826 x median |gap| of the symbol's last sessions.
 * How they were chosen, with counts on the bundled data: data/sample/README.md.
 */
export interface ValidationRules {
  /** History a finding may depend on, in sessions: with it a nightly run finds what a full run finds. */
  readonly lookbackSessions: number;
  /** Window, smallest history, default and floor of a symbol's gap scale. */
  readonly scaleSessions: number;
  readonly scaleMinGaps: number;
  readonly scaleDefault: number;
  readonly scaleFloor: number;
  /** Fewer symbols than this in a session have no meaningful median. */
  readonly marketMinSymbols: number;
  /** A neighbour further away than this (missing sessions between) says nothing about a bar. */
  readonly neighbourMaxSessions: number;
  /** Both gaps of an isolated bar, in scales: alone, as one of many on that session, to count as one. */
  readonly reversalAlone: number;
  readonly reversalInWave: number;
  readonly reversalCounted: number;
  /** What remains of the smaller gap after the way back, at most. */
  readonly reversalMaxRemainder: number;
  /** A session is a wave if this many symbols, and this share of them, are isolated. */
  readonly waveMinSymbols: number;
  readonly waveMinShare: number;
  /** A bar repeats an older one at most this many sessions back. */
  readonly repeatSessions: number;
  /** Range (USD) from which four equal prices cannot be chance; within a group of symbols a smaller one. */
  readonly repeatMinRange: number;
  readonly repeatMinRangeInGroup: number;
  /** Symbols that repeat between the same two sessions: a group; a group large enough to be judged. */
  readonly repeatGroup: number;
  readonly repeatGroupJudged: number;
  /** Sessions in a row in which two symbols have the same five numbers. */
  readonly identicalSessions: number;
  /** A move this large (log) and this many scales is noted as a jump. */
  readonly jumpMin: number;
  readonly jumpScales: number;
  /** An overnight gap this large on ordinary volume is noted as an action the prices do not know. */
  readonly shiftMin: number;
  readonly shiftMaxVolumeRatio: number;
  readonly shiftLarge: number;
  readonly shiftLargeMaxVolumeRatio: number;
  readonly volumeSessions: number;
}

export const DEFAULT_RULES: ValidationRules = {
  lookbackSessions: 270,
  scaleSessions: 60,
  scaleMinGaps: 20,
  scaleDefault: 0.006,
  scaleFloor: 0.003,
  marketMinSymbols: 20,
  neighbourMaxSessions: 3,
  reversalAlone: 5,
  reversalInWave: 2,
  reversalCounted: 3,
  reversalMaxRemainder: 0.5,
  waveMinSymbols: 5,
  waveMinShare: 0.01,
  repeatSessions: 252,
  repeatMinRange: 0.45,
  repeatMinRangeInGroup: 0.1,
  repeatGroup: 3,
  repeatGroupJudged: 20,
  identicalSessions: 5,
  jumpMin: 0.15,
  jumpScales: 8,
  shiftMin: 0.18,
  shiftMaxVolumeRatio: 4,
  shiftLarge: 0.5,
  shiftLargeMaxVolumeRatio: 10,
  volumeSessions: 20,
};
