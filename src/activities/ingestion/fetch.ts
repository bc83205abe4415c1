import type { TaskStep } from '../../contracts/activities.ts';
import { type KnownSessions, readKnownSessions, readMissingSessions } from '../../db/queries/bars-write.ts';
import type { Queryable } from '../../db/client.ts';
import type { BarsValue, RangeRequest, SymbolResult, SymbolsRequest } from '../../providers/port.ts';
import type { Absence } from '../../domain/validation/absence.ts';
import { noteAbsences } from './absence.ts';
import { groupBy } from './group.ts';
import { indexFrom, indexThrough, type IngestionNight, sessionFrom } from './night.ts';
import { type FetchedReference, fetchReference, settleSplits } from './reference.ts';

/** What a symbol still needs, from its own first session to the night's. */
export type SessionNeed = {
  symbol: string;
  /** First and last session about which nothing is known; null if there is none. */
  missing: { first: string; last: string } | null;
  newestBar: string | null;
  /** Newest session asked for so far, and oldest bar. */
  newestKnown: string | null;
  oldestBar: string | null;
  /** A later night has stored bars already: this one is a replay for the symbol. */
  hasLater: boolean;
};

/** One symbol's answer, with what was asked. `range` null: nothing was missing and nothing overlaps. */
export type FetchedSymbol = {
  symbol: string;
  /** First session the universe wants of this symbol. */
  fromSession: string;
  need: SessionNeed;
  range: { from: string; to: string } | null;
  bars: SymbolResult<BarsValue> | null;
  /** Why there is no bar of the night's session; null: there is one. */
  absence: Absence | null;
};

export type FetchedChunk = { symbols: FetchedSymbol[]; reference: FetchedReference };

type FetchInput = {
  night: IngestionNight;
  step: TaskStep;
  symbols: readonly string[];
  signal: AbortSignal;
  finalAttempt: boolean;
  onProgress: (done: number, total: number) => void;
};

/** Asks the providers for what a chunk of symbols needs: missing sessions, the overlap, reference data. */
export async function fetchChunk(sql: Queryable, input: FetchInput): Promise<FetchedChunk> {
  const { night, step, symbols } = input;
  const request = requestOf(input);
  const reference = await fetchReference({ night, request });
  const firstSessions = new Map(reference.instruments.map((one) => [one.symbol, one.firstSession]));
  const wanted = symbols.map((symbol) => {
    // An instrument's first session need not be one of our calendar's.
    const listed = sessionFrom(night.calendar, firstSessions.get(symbol) ?? night.fromSession);
    return { symbol, fromSession: listed > night.fromSession ? listed : night.fromSession };
  });
  const fromSessions = new Map(wanted.map((one) => [one.symbol, one.fromSession]));
  const needs = await readNeeds(sql, { night, step, wanted });
  const asked = needs.map((need): FetchedSymbol => {
    const fromSession = fromSessions.get(need.symbol) ?? night.fromSession;
    return {
      symbol: need.symbol,
      fromSession,
      need,
      range: rangeOf({ night, step, need, fromSession }),
      bars: null,
      absence: null,
    };
  });
  const groups = groupBy(
    asked.filter((one) => one.range !== null),
    (one) => `${one.range?.from} ${one.range?.to}`,
  );
  for (const group of groups.values()) await fetchGroup(group, input);
  await settleSplits(sql, { night, request, reference, fetched: asked });
  await noteAbsences(sql, { night, step, request, fetched: asked });
  return { symbols: asked, reference };
}

type Wanted = { symbol: string; fromSession: string };

/** Counts tell almost always what is missing: everything, nothing, or the newest sessions. */
async function readNeeds(
  sql: Queryable,
  input: { night: IngestionNight; step: TaskStep; wanted: readonly Wanted[] },
): Promise<SessionNeed[]> {
  const { night, step, wanted } = input;
  const { calendar } = night;
  const last = calendar.indexOf(step.sessionDate);
  const fromOf = new Map(wanted.map((one) => [one.symbol, one.fromSession]));
  const known = await readKnownSessions(sql, { symbols: wanted, throughSession: step.sessionDate });
  const holed: Wanted[] = [];
  const needs = known.map((one: KnownSessions): SessionNeed => {
    const { symbol, newestBar, newestKnown, oldestBar, hasLater } = one;
    const fromSession = fromOf.get(symbol) ?? night.fromSession;
    const first = indexFrom(calendar, fromSession);
    const newest = one.newestKnown === null ? first - 1 : indexThrough(calendar, one.newestKnown);
    const contiguous = one.known === newest - first + 1;
    if (!contiguous) holed.push({ symbol, fromSession });
    const missing =
      newest >= last ? null : { first: calendar.at(newest + 1).sessionDate, last: step.sessionDate };
    return { symbol, newestBar, newestKnown, oldestBar, hasLater, missing };
  });
  if (holed.length === 0) return needs;
  const holes = await readMissingSessions(sql, { symbols: holed, throughSession: step.sessionDate });
  const isHoled = new Set(holed.map((one) => one.symbol));
  return needs.map((need) =>
    isHoled.has(need.symbol) ? { ...need, missing: holes.get(need.symbol) ?? null } : need,
  );
}

async function fetchGroup(group: FetchedSymbol[], input: FetchInput): Promise<void> {
  const range = group[0]?.range;
  if (range === null || range === undefined) return;
  const request: RangeRequest = { ...requestOf(input), symbols: group.map((one) => one.symbol), ...range };
  const results = await input.night.provider.bars(request);
  for (const [index, one] of group.entries()) one.bars = results[index] ?? null;
}

function requestOf(input: FetchInput): SymbolsRequest {
  return {
    symbols: input.symbols,
    asOfSession: input.step.sessionDate,
    signal: input.signal,
    finalAttempt: input.finalAttempt,
    onProgress: ({ done, total }) => input.onProgress(done, total),
  };
}

/**
 * Sessions to ask for: from the first missing one, and from `overlapSessions` before the newest stored
 * one, up to S. A replayed night only fills holes: what later nights have seen stays as it is.
 */
function rangeOf(input: {
  night: IngestionNight;
  step: TaskStep;
  need: SessionNeed;
  fromSession: string;
}): { from: string; to: string } | null {
  const { night, step, need, fromSession } = input;
  const { calendar } = night;
  if (need.hasLater) {
    return need.missing === null ? null : { from: need.missing.first, to: need.missing.last };
  }
  const { overlapSessions } = night.config.ingestion;
  const starts = need.missing === null ? [] : [need.missing.first];
  if (need.newestBar !== null && overlapSessions > 0) {
    const index = Math.max(0, indexThrough(calendar, need.newestBar) - (overlapSessions - 1));
    starts.push(calendar.at(index).sessionDate);
  }
  const start = starts.sort()[0];
  if (start === undefined) return null;
  const from = start < fromSession ? fromSession : start;
  return from > step.sessionDate ? null : { from, to: step.sessionDate };
}
