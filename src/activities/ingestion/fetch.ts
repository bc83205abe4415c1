import type { TaskStep } from '../../contracts/activities.ts';
import { readSessionNeeds, type SessionNeed } from '../../db/queries/bars-write.ts';
import type { Queryable } from '../../db/client.ts';
import type { CorporateActions, FundamentalRecord, Instrument } from '../../domain/market-data.ts';
import { type ProviderError, toProviderError } from '../../providers/errors.ts';
import type { BarsValue, RangeRequest, SymbolResult, SymbolsRequest } from '../../providers/port.ts';
import { groupBy } from './group.ts';
import type { IngestionNight } from './night.ts';

/** One symbol's answer, with what was asked. `range` null: nothing was missing and nothing overlaps. */
export type FetchedSymbol = {
  symbol: string;
  /** First session the universe wants of this symbol. */
  fromSession: string;
  need: SessionNeed;
  range: { from: string; to: string } | null;
  bars: SymbolResult<BarsValue> | null;
};

export type FetchedReference = {
  provider: string;
  instruments: Instrument[];
  actions: CorporateActions;
  fundamentals: FundamentalRecord[];
  /** Failures of reference data by symbol; they never fail the symbol's bars. */
  errors: Map<string, string[]>;
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
  const reference = await fetchReference(input);
  const firstSessions = new Map(reference.instruments.map((one) => [one.symbol, one.firstSession]));
  const wanted = symbols.map((symbol) => {
    const listed = firstSessions.get(symbol) ?? night.fromSession;
    return { symbol, fromSession: listed > night.fromSession ? listed : night.fromSession };
  });
  const fromSessions = new Map(wanted.map((one) => [one.symbol, one.fromSession]));
  const needs = await readSessionNeeds(sql, { symbols: wanted, throughSession: step.sessionDate });
  const asked = needs.map((need): FetchedSymbol => {
    const fromSession = fromSessions.get(need.symbol) ?? night.fromSession;
    return {
      symbol: need.symbol,
      fromSession,
      need,
      range: rangeOf({ night, step, need, fromSession }),
      bars: null,
    };
  });
  const groups = groupBy(
    asked.filter((one) => one.range !== null),
    (one) => `${one.range?.from} ${one.range?.to}`,
  );
  for (const group of groups.values()) await fetchGroup(group, input);
  return { symbols: asked, reference };
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
    if (need.firstMissing === null || need.lastMissing === null) return null;
    return { from: need.firstMissing, to: need.lastMissing };
  }
  const { overlapSessions } = night.config.ingestion;
  const starts = need.firstMissing === null ? [] : [need.firstMissing];
  if (need.newest !== null && overlapSessions > 0) {
    const index = Math.max(0, calendar.indexOf(need.newest) - (overlapSessions - 1));
    starts.push(calendar.at(index).sessionDate);
  }
  const from = starts.sort()[0];
  if (from === undefined) return null;
  return { from: from < fromSession ? fromSession : from, to: step.sessionDate };
}

async function fetchReference(input: FetchInput): Promise<FetchedReference> {
  const { night, step } = input;
  const { provider, coverage } = night;
  const request = requestOf(input);
  const reference: FetchedReference = {
    provider: coverage.provider,
    instruments: [],
    actions: { splits: [], dividends: [] },
    fundamentals: [],
    errors: new Map(),
  };
  const take = async <Value>(
    what: string,
    asked: boolean,
    ask: () => Promise<readonly SymbolResult<Value>[]>,
  ): Promise<Value[]> => {
    if (!asked) return [];
    const results = await ask();
    return results.flatMap((result) => {
      if (result.ok) return [result.value];
      const known = reference.errors.get(result.symbol) ?? [];
      reference.errors.set(result.symbol, [...known, `${what}: ${errorWords(result.error)}`]);
      return [];
    });
  };
  reference.instruments = await take('instrument', coverage.has.instruments, () =>
    provider.instruments(request),
  );
  const range = { ...request, from: night.fromSession, to: step.sessionDate };
  const actions = await take('corporate actions', coverage.has.corporateActions, () =>
    provider.corporateActions(range),
  );
  reference.actions = {
    splits: actions.flatMap((action) => action.splits),
    dividends: actions.flatMap((action) => action.dividends),
  };
  const fundamentals = await take('fundamentals', coverage.has.fundamentals, () =>
    provider.fundamentals(request),
  );
  reference.fundamentals = fundamentals.flat();
  return reference;
}

/** `notFound: archive has no XYZ as of 2018-02-07`. */
export function errorWords(error: ProviderError): string {
  const { code, message } = toProviderError(error, error.provider);
  return `${code}: ${message}`;
}
