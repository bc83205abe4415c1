import { epochDayOf, lowerBound, type SessionDate, sessionDateOf, sliceBars } from '../bars.ts';
import { FindingList } from './findings.ts';
import { findIdenticalSeries } from './identical-series.ts';
import { noteMoves } from './moves.ts';
import { findRepeats, type RepeatedSession } from './repeats.ts';
import { findReversals, type ReversalWave } from './reversals.ts';
import { checkRows } from './row-checks.ts';
import { DEFAULT_RULES } from './rules.ts';
import { countBySession, createSeries, subtractMarket } from './series.ts';
import {
  DOUBTFUL_CODES,
  IMPOSSIBLE_CODES,
  NOTE_CODES,
  type ReasonCode,
  type SessionFinding,
  type SymbolValidation,
  type ValidationInput,
  type ValidationReport,
} from './types.ts';

/**
 * Validates daily bars against the exchange's sessions and against each other.
 *
 * Every finding carries the session at whose close it could be known, and depends on nothing later:
 * a run through session S finds for S what a run through the end finds for S. Pure; 619,040 rows of
 * 505 symbols take about 0.3 s. Throws RangeError if the sessions do not reach `revealedThrough`.
 */
export function validateBars(input: ValidationInput): ValidationReport {
  const rules = input.rules ?? DEFAULT_RULES;
  const throughDay = epochDayOf(input.revealedThrough);
  const fromDay =
    input.revealedFrom === undefined ? Number.NEGATIVE_INFINITY : epochDayOf(input.revealedFrom);
  const bars = input.bars.map((one) => sliceBars(one, Number.MIN_SAFE_INTEGER, throughDay));
  const sessionDays = sessionsOfRange(input.sessions, bars, throughDay);
  const sessionIndexOf = indexSessions(sessionDays);

  const checked = bars.map((one) => {
    const findings = new FindingList();
    const sessionOfRow = checkRows({ bars: one, sessionIndexOf, findings });
    return { series: createSeries({ bars: one, sessionOfRow, findings, rules }), sessionOfRow };
  });
  const series = checked.map((one) => one.series);
  subtractMarket(series, sessionDays.length, rules);
  const symbolsBySession = countBySession(series, sessionDays.length);
  const waves = findReversals({ series, symbolsBySession, sessionDays, rules });
  const repeated = findRepeats({ series, sessionDays, rules });
  findIdenticalSeries({ series, sessionDays, rules });
  for (const one of series) noteMoves({ series: one, sessionDays, rules });

  const symbols = series.map((one): SymbolValidation => {
    const { symbol, epochDays } = one.bars;
    const { findings, states } = one.findings.finish({ symbol, epochDays, fromDay, throughDay });
    const missingSessions = missingOf({ epochDays, sessionDays, fromDay });
    return { symbol, rows: epochDays.length, states, findings, missingSessions };
  });
  return {
    symbols,
    sessions: [
      ...waves.map((wave) => describeWave(wave, sessionDays, symbolsBySession)),
      ...repeated.map((session) => describeRepeat(session, sessionDays, symbolsBySession)),
    ]
      .filter((finding) => epochDayOf(finding.availableAtSession) >= fromDay)
      .sort((a, b) => (a.sessionDate < b.sessionDate ? -1 : 1)),
    rows: symbols.reduce((sum, symbol) => sum + symbol.rows, 0),
    counts: countCodes(symbols),
    missingSessions: symbols.reduce((sum, symbol) => sum + symbol.missingSessions.length, 0),
  };
}

/** The exchange's sessions from the first row of any symbol to the end of the range. */
function sessionsOfRange(
  sessions: Int32Array,
  bars: readonly { readonly epochDays: Int32Array }[],
  throughDay: number,
): Int32Array {
  if ((sessions.at(-1) ?? Number.NEGATIVE_INFINITY) < throughDay) {
    throw new RangeError(`the exchange calendar ends before ${sessionDateOf(throughDay)}`);
  }
  let first = throughDay + 1;
  for (const { epochDays } of bars) first = Math.min(first, epochDays[0] ?? first);
  return sessions.slice(lowerBound(sessions, first), lowerBound(sessions, throughDay + 1));
}

function indexSessions(sessionDays: Int32Array): (epochDay: number) => number {
  const first = sessionDays[0] ?? 0;
  const table = new Int32Array((sessionDays.at(-1) ?? first - 1) - first + 1).fill(-1);
  for (let index = 0; index < sessionDays.length; index++) table[(sessionDays[index] ?? 0) - first] = index;
  return (epochDay) => table[epochDay - first] ?? -1;
}

/** Sessions after the symbol's first row without a row, from `fromDay` on. */
function missingOf(input: {
  readonly epochDays: Int32Array;
  readonly sessionDays: Int32Array;
  readonly fromDay: number;
}): SessionDate[] {
  const { epochDays, sessionDays, fromDay } = input;
  const firstDay = epochDays[0];
  if (firstDay === undefined) return [];
  const missing: SessionDate[] = [];
  let row = 0;
  for (const day of sessionDays) {
    if (day < firstDay) continue;
    while (row < epochDays.length && (epochDays[row] ?? 0) < day) row++;
    if (epochDays[row] !== day && day >= fromDay) missing.push(sessionDateOf(day));
  }
  return missing;
}

function describeWave(wave: ReversalWave, sessionDays: Int32Array, counts: Int32Array): SessionFinding {
  const symbolsWithBar = counts[wave.session] ?? 0;
  return {
    sessionDate: sessionDateOf(sessionDays[wave.session] ?? 0),
    code: 'marketWideReversal',
    reason: `${wave.symbols} of ${symbolsWithBar} symbols stand apart from the sessions before and after`,
    symbols: wave.symbols,
    symbolsWithBar,
    availableAtSession: sessionDateOf(sessionDays[wave.session + 1] ?? 0),
  };
}

function describeRepeat(found: RepeatedSession, sessionDays: Int32Array, counts: Int32Array): SessionFinding {
  const symbolsWithBar = counts[found.session] ?? 0;
  const other = sessionDateOf(sessionDays[found.otherSession] ?? 0);
  return {
    sessionDate: sessionDateOf(sessionDays[found.session] ?? 0),
    code: 'repeatedSession',
    reason: `${found.symbols} of ${symbolsWithBar} symbols have the bar of ${other}`,
    symbols: found.symbols,
    symbolsWithBar,
    availableAtSession: sessionDateOf(sessionDays[found.knownSession] ?? 0),
  };
}

function countCodes(symbols: readonly SymbolValidation[]): Record<ReasonCode, number> {
  const counts = Object.fromEntries(
    [...IMPOSSIBLE_CODES, ...DOUBTFUL_CODES, ...NOTE_CODES].map((code) => [code, 0]),
  ) as Record<ReasonCode, number>;
  for (const { findings } of symbols) for (const { code } of findings) counts[code] += 1;
  return counts;
}
