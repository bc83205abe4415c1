import { Context } from '@temporalio/activity';
import type { IngestionActivities, TaskStep } from '../../contracts/activities.ts';
import type { Queryable } from '../../db/client.ts';
import { type BarsAsOf, readCurrentBars } from '../../db/queries/bars.ts';
import { readQuarantine } from '../../db/queries/quarantine.ts';
import { readCorporateActions } from '../../db/queries/reference.ts';
import { readGaps } from '../../db/queries/bars-write.ts';
import { readSymbolOutcomes, type SymbolOutcome } from '../../db/queries/symbol-outcomes.ts';
import { epochDayOf } from '../../domain/bars.ts';
import type { SplitAction } from '../../domain/market-data.ts';
import type { ProviderError } from '../../providers/errors.ts';
import { currentProgress, type Progress } from '../progress.ts';
import { judgeSymbol, type JudgedSymbol } from './judge.ts';
import { fetchChunk, type FetchedChunk, type FetchedSymbol } from './fetch.ts';
import { groupBy } from './group.ts';
import type { IngestionDeps } from './deps.ts';
import { type IngestionNight, readIngestionNight } from './night.ts';
import { isFinalAttempt, retryLater } from './retries.ts';
import { storeChunk } from './store.ts';

/** Symbols fetched and stored in one go: the unit that a crash repeats. */
const CHUNK_SYMBOLS = 32;

type BatchInput = TaskStep & { batch: { index: number; symbols: string[] } };
type BatchResult = Awaited<ReturnType<IngestionActivities['ingestBatch']>>;

/**
 * Fetches, checks and stores the bars of a batch, chunk by chunk. Symbols that an earlier attempt of the
 * same task run finished are not asked again. A symbol's failure is its outcome row; one that may pass
 * makes the activity fail once all others are stored, until its last attempt.
 */
export async function ingestBatch(deps: IngestionDeps, step: BatchInput): Promise<BatchResult> {
  const { sql } = deps.db;
  const progress = currentProgress();
  const night = await readIngestionNight(deps, step);
  const { symbols } = step.batch;
  const earlier = await readSymbolOutcomes(sql, { taskRunId: step.taskRunId, symbols });
  const finished = new Set(earlier.filter((one) => one.status !== 'failed').map((one) => one.symbol));
  const open = symbols.filter((symbol) => !finished.has(symbol));
  const retryable: ProviderError[] = [];
  for (let from = 0; from < open.length; from += CHUNK_SYMBOLS) {
    const chunk = open.slice(from, from + CHUNK_SYMBOLS);
    const done = symbols.length - open.length + from;
    const report = (within: number): void => progress.report('fetch', done + within, symbols.length);
    report(0);
    const errors = await ingestChunk({ deps, night, step, symbols: chunk, progress, report });
    retryable.push(...errors);
    await progress.breathe();
  }
  if (retryable.length > 0 && !isFinalAttempt()) throw retryLater(retryable);
  return await summarize(sql, step.taskRunId, symbols);
}

/** Failures of symbols that another attempt may cure. */
async function ingestChunk(input: {
  deps: IngestionDeps;
  night: IngestionNight;
  step: BatchInput;
  symbols: readonly string[];
  progress: Progress;
  report: (within: number) => void;
}): Promise<ProviderError[]> {
  const { deps, night, step, symbols, progress } = input;
  const { sql } = deps.db;
  const fetched = await progress.during(
    'fetch',
    fetchChunk(sql, {
      night,
      step,
      symbols,
      signal: Context.current().cancellationSignal,
      finalAttempt: isFinalAttempt(),
      onProgress: input.report,
    }),
  );
  const judged = await judgeChunk({ sql, night, step, chunk: fetched });
  const outcomes = judged.map((one) => one.outcome);
  await progress.during(
    'store',
    storeChunk(sql, {
      step,
      night,
      needs: fetched.symbols.map(({ need }) => need),
      writes: judged.flatMap((one) => (one.write === null ? [] : [one.write])),
      outcomes,
      reference: fetched.reference,
    }),
  );
  return fetched.symbols.flatMap(({ bars }) =>
    bars !== null && !bars.ok && bars.error.disposition === 'retryable' ? [bars.error] : [],
  );
}

/** Compares what was fetched with what is stored, symbol by symbol. */
async function judgeChunk(input: {
  sql: Queryable;
  night: IngestionNight;
  step: TaskStep;
  chunk: FetchedChunk;
}): Promise<JudgedSymbol[]> {
  const { sql, night, step, chunk } = input;
  const asked = chunk.symbols.filter((one) => one.range !== null);
  const symbols = asked.map((one) => one.symbol);
  const from = asked.reduce((low, one) => minDate(low, one.range?.from ?? low), step.sessionDate);
  const hasStored = asked.some((one) => one.need.newestBar !== null || one.need.hasLater);
  const stored: BarsAsOf = hasStored
    ? await readCurrentBars(sql, { symbols, fromSession: from, throughSession: step.sessionDate })
    : { symbols: new Map(), sources: new Map(), rows: 0 };
  const late = [
    ...(await readGaps(sql, { symbols, fromSession: from })),
    ...(await readQuarantine(sql, { symbols, throughSession: step.sessionDate, subject: 'bar' })),
  ];
  const lateDays = groupBy(late, (one) => one.symbol);
  const actions = await readCorporateActions(sql, { symbols, throughSession: step.sessionDate });
  const reported = groupBy(
    chunk.reference.splits.map(({ fact }) => fact),
    (split) => split.symbol,
  );
  return chunk.symbols.map((one: FetchedSymbol) => {
    const days = new Set(lateDays.get(one.symbol)?.map((row) => epochDayOf(row.sessionDate)));
    return judgeSymbol({
      night,
      sessionDate: step.sessionDate,
      fetched: one,
      stored: stored.symbols.get(one.symbol),
      sources: stored.sources,
      splits: onePerDate([...(actions.get(one.symbol)?.splits ?? []), ...(reported.get(one.symbol) ?? [])]),
      cameLate: (day) => days.has(day),
      referenceErrors: chunk.reference.errors.get(one.symbol) ?? [],
    });
  });
}

/** Stored splits are reported again each night: applied twice, they would be another ratio. */
function onePerDate(splits: readonly SplitAction[]): SplitAction[] {
  return [...new Map(splits.map((split) => [split.exDate, split])).values()];
}

function minDate(a: string, b: string): string {
  return a < b ? a : b;
}

async function summarize(
  sql: Queryable,
  taskRunId: string,
  symbols: readonly string[],
): Promise<BatchResult> {
  const outcomes = await readSymbolOutcomes(sql, { taskRunId, symbols });
  const sum = (pick: (outcome: SymbolOutcome) => number): number =>
    outcomes.reduce((total, outcome) => total + pick(outcome), 0);
  return {
    symbols: outcomes.length,
    failedSymbols: outcomes.filter((outcome) => outcome.status === 'failed').length,
    rowsFetched: sum((outcome) => outcome.rowsFetched),
    rowsChanged: sum((outcome) => outcome.rowsInserted + outcome.rowsRevised),
  };
}
