import { BAR_STATE, type BarSource, type StoredBars } from '../../db/queries/bars.ts';
import type { NewQuarantine, RawBar } from '../../db/queries/quarantine.ts';
import type { SymbolOutcome } from '../../db/queries/symbol-outcomes.ts';
import { type BarColumns, epochDayOf, priceBasisKey, sliceBars } from '../../domain/bars.ts';
import type { SplitAction } from '../../domain/market-data.ts';
import { type Absence, classifyAbsence } from '../../domain/validation/absence.ts';
import { FindingList } from '../../domain/validation/findings.ts';
import { checkRows } from '../../domain/validation/row-checks.ts';
import type { BarFinding } from '../../domain/validation/types.ts';
import type { BarsValue, Provenance } from '../../providers/port.ts';
import { basisFactor } from './basis.ts';
import { compareBars, type SymbolDiff } from './compare.ts';
import type { FetchedSymbol } from './fetch.ts';
import { groupBy } from './group.ts';
import { indexFrom, indexThrough, type IngestionNight, sessionsSinceBar } from './night.ts';
import type { SymbolWrite } from './store.ts';
import { errorWords } from './words.ts';

/** What is to be stored of a symbol (null: nothing), and its outcome row. */
export type JudgedSymbol = { write: SymbolWrite | null; outcome: SymbolOutcome };

type JudgeInput = {
  night: IngestionNight;
  sessionDate: string;
  fetched: FetchedSymbol;
  stored: StoredBars | undefined;
  sources: ReadonlyMap<number, BarSource>;
  splits: readonly SplitAction[];
  /** The session was asked for before and had no usable row then. */
  cameLate: (epochDay: number) => boolean;
  referenceErrors: readonly string[];
};

/** Decides about one symbol: checks each fetched row, compares it with the stored one. Writes nothing. */
export function judgeSymbol(input: JudgeInput): JudgedSymbol {
  const { fetched } = input;
  const { bars: result, range } = fetched;
  if (range === null) return { write: null, outcome: outcomeOf(input, { status: 'ok', reason: null }) };
  if (result === null) {
    return failed(input, 'the provider gave no answer for this symbol');
  }
  if (!result.ok) return failed(input, errorWords(result.error));
  const { value, provenance } = result;
  const bars = sliceBars(value.bars, epochDayOf(range.from), epochDayOf(range.to));
  const { usable, impossible } = checkFetched(bars, input.night);
  const diff = compareWithStored({ input, value, provenance, bars, usable });
  if (diff.mismatch !== null) {
    const absence = fetched.absence ?? absenceOfUnusable(input, provenance);
    return failed({ ...input, fetched: { ...fetched, absence } }, `basisMismatch: ${diff.mismatch}`);
  }
  const gaps = gapsOf({ input, bars, range });
  const write = writeOf({ input, value, provenance, bars, diff, impossible, gaps });
  return { write, outcome: outcomeOfWrite({ input, bars, diff, impossible, write }) };
}

/** Rows that are not stored are no bars; null where an earlier run has stored the session's. */
function absenceOfUnusable(
  { fetched, night, sessionDate }: JudgeInput,
  { provider }: Provenance,
): Absence | null {
  const { symbol, fromSession } = fetched;
  const lastBar = fetched.need.newestBar;
  if (lastBar !== null && lastBar >= sessionDate) return null;
  return classifyAbsence({
    symbol,
    sessionDate,
    sessions: sessionsSinceBar(night.calendar, { sessionDate, lastBar, fromSession }),
    lastBar,
    failure: 'unreachable',
    sources: { asked: [provider], answered: [], withBars: [] },
    delistedAfterSessions: night.config.data.delistedAfterSessions,
  });
}

function checkFetched(
  bars: BarColumns,
  night: IngestionNight,
): { usable: Uint8Array; impossible: readonly BarFinding[] } {
  const findings = new FindingList();
  const sessionOfRow = checkRows({ bars, sessionIndexOf: night.sessionIndexOf, findings });
  const usable = Uint8Array.from(sessionOfRow, (session) => (session >= 0 ? 1 : 0));
  const found = findings.finish({
    symbol: bars.symbol,
    epochDays: bars.epochDays,
    fromDay: Number.NEGATIVE_INFINITY,
    throughDay: Number.POSITIVE_INFINITY,
  });
  return { usable, impossible: found.findings.filter((finding) => finding.severity === 'impossible') };
}

/**
 * Compares through the splits there are. Where the overlap agrees better without them, the prices do not hold a split
 * that was reported: it must not make the series look like another one.
 */
function compareWithStored(context: {
  input: JudgeInput;
  value: BarsValue;
  provenance: Provenance;
  bars: BarColumns;
  usable: Uint8Array;
}): SymbolDiff {
  const { input, value, provenance, bars, usable } = context;
  const compare = (splits: readonly SplitAction[]): SymbolDiff =>
    compareBars({
      fetched: bars,
      usable,
      stored: input.stored,
      revise: !input.fetched.need.hasLater,
      isFinal: (day) => input.night.availableAtMs(day) <= input.night.nowMs,
      factorTo: factorsOf({ ...input, splits }, value, provenance),
    });
  const diff = compare(input.splits);
  if (diff.changed.length === 0 || input.splits.length === 0) return diff;
  const without = compare([]);
  return without.unchanged > diff.unchanged ? without : diff;
}

/** A final bar of another provider stands; the same provider's bars are compared on the stored basis. */
function factorsOf(
  input: JudgeInput,
  value: BarsValue,
  provenance: Provenance,
): (sourceId: number, epochDay: number) => number | null {
  const known = new Map<number, ((day: number) => number) | null>();
  const key = priceBasisKey(value.basis);
  const factorFor = (sourceId: number): ((day: number) => number) | null => {
    const source = input.sources.get(sourceId);
    if (source === undefined || source.provider !== provenance.provider) return null;
    if (priceBasisKey(source.basis) === key) return () => 1;
    return basisFactor({ from: value.basis, to: source.basis, splits: input.splits });
  };
  return (sourceId, day) => {
    let factor = known.get(sourceId);
    if (factor === undefined) {
      factor = factorFor(sourceId);
      known.set(sourceId, factor);
    }
    return factor === null ? null : factor(day);
  };
}

/** Sessions of the range, from the symbol's first on, with neither a fetched nor a stored row. */
function gapsOf(context: {
  input: JudgeInput;
  bars: BarColumns;
  range: { from: string; to: string };
}): string[] {
  const { input, bars, range } = context;
  const { calendar } = input.night;
  const from = range.from < input.fetched.fromSession ? input.fetched.fromSession : range.from;
  const first = indexFrom(calendar, from);
  const last = indexThrough(calendar, range.to);
  if (last < first) return [];
  const have = new Uint8Array(last - first + 1);
  const mark = (days: Int32Array): void => {
    for (const day of days) {
      const index = input.night.sessionIndexOf(day) - first;
      if (index >= 0 && index < have.length) have[index] = 1;
    }
  };
  mark(bars.epochDays);
  if (input.stored !== undefined) mark(input.stored.bars.epochDays);
  const gaps: string[] = [];
  for (const [index, there] of have.entries()) {
    if (there === 0) gaps.push(calendar.at(first + index).sessionDate);
  }
  return gaps;
}

function writeOf(context: {
  input: JudgeInput;
  value: BarsValue;
  provenance: Provenance;
  bars: BarColumns;
  diff: SymbolDiff;
  impossible: readonly BarFinding[];
  gaps: string[];
}): SymbolWrite {
  const { input, value, provenance, bars, diff } = context;
  const { night } = input;
  const replaced = new Set(diff.changed.map((one) => one.row));
  const dayOf = (row: number): number => bars.epochDays[row] ?? 0;
  const isFinal = (row: number): boolean => night.availableAtMs(dayOf(row)) <= night.nowMs;
  return {
    symbol: input.fetched.symbol,
    fetched: bars,
    fresh: diff.fresh,
    changed: diff.changed,
    basis: value.basis,
    provenance,
    quarantine: quarantineOf(context),
    gaps: context.gaps,
    stateOf: (row) => (isFinal(row) ? BAR_STATE.final : BAR_STATE.provisional),
    availableAtMs: (row) => {
      const settled = night.availableAtMs(dayOf(row));
      if (!isFinal(row)) return night.nowMs;
      // What replaces or fills in later was not known at its own close.
      const late = replaced.has(row) || input.cameLate(dayOf(row));
      return late ? Math.max(settled, night.nowMs) : settled;
    },
  };
}

function quarantineOf(context: {
  input: JudgeInput;
  value: BarsValue;
  provenance: Provenance;
  bars: BarColumns;
  impossible: readonly BarFinding[];
}): NewQuarantine[] {
  const { input, value, provenance, bars } = context;
  return [...groupBy(context.impossible, (finding) => finding.sessionDate)].map(([sessionDate, findings]) => {
    const day = epochDayOf(sessionDate);
    const rows = [...bars.epochDays.keys()].filter((row) => bars.epochDays[row] === day);
    return {
      symbol: input.fetched.symbol,
      sessionDate,
      subject: 'bar',
      provider: provenance.provider,
      priceBasis: priceBasisKey(value.basis),
      codes: [...new Set(findings.map((finding) => finding.code))].sort(),
      reason: [...new Set(findings.map((finding) => finding.reason))].join('; '),
      raw: rows.map((row) => rawBarOf(bars, row)),
      availableAt: new Date(input.night.availableAtMs(day)).toISOString(),
    };
  });
}

function rawBarOf(bars: BarColumns, row: number): RawBar {
  const value = (column: Float64Array): number | null => {
    const number = column[row] ?? Number.NaN;
    return Number.isFinite(number) ? number : null;
  };
  return {
    open: value(bars.open),
    high: value(bars.high),
    low: value(bars.low),
    close: value(bars.close),
    volume: value(bars.volume),
  };
}

function failed(input: JudgeInput, reason: string): JudgedSymbol {
  return { write: null, outcome: outcomeOf(input, { status: 'failed', reason }) };
}

function outcomeOf(
  input: JudgeInput,
  words: { status: SymbolOutcome['status']; reason: string | null },
): SymbolOutcome {
  const { fetched, referenceErrors } = input;
  return {
    symbol: fetched.symbol,
    status: words.status,
    reason: words.reason ?? fetched.absence?.words ?? null,
    provider: fetched.bars?.ok === true ? fetched.bars.provenance.provider : null,
    rowsFetched: 0,
    rowsInserted: 0,
    rowsRevised: 0,
    rowsQuarantined: 0,
    rowsFlagged: 0,
    missingSessions: 0,
    firstSession: fetched.range?.from ?? null,
    lastSession: fetched.range?.to ?? null,
    details: {
      ...(referenceErrors.length > 0 && { referenceErrors }),
      ...(fetched.absence !== null && { absence: fetched.absence }),
    },
  };
}

function outcomeOfWrite(context: {
  input: JudgeInput;
  bars: BarColumns;
  diff: SymbolDiff;
  impossible: readonly BarFinding[];
  write: SymbolWrite;
}): SymbolOutcome {
  const { input, bars, diff, write } = context;
  const empty =
    bars.epochDays.length === 0 && input.stored === undefined && input.fetched.need.newestBar === null;
  const outcome = outcomeOf(input, {
    status: empty ? 'no_data' : 'ok',
    reason: empty ? `no bar between ${input.fetched.range?.from} and ${input.fetched.range?.to}` : null,
  });
  const { fallbackFrom } = write.provenance;
  return {
    ...outcome,
    rowsFetched: bars.epochDays.length,
    rowsInserted: diff.fresh.length,
    rowsRevised: diff.changed.length,
    rowsQuarantined: write.quarantine.length,
    missingSessions: write.gaps.length,
    details: fallbackFrom.length === 0 ? outcome.details : { ...outcome.details, fallbackFrom },
  };
}
