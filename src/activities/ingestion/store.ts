import type { TaskStep } from '../../contracts/activities.ts';
import type { Sql, Tx } from '../../db/client.ts';
import { assertCurrentAttempt } from '../../db/fence.ts';
import { insertBarSource } from '../../db/queries/bars.ts';
import {
  type BarRows,
  insertBars,
  insertGaps,
  lowerValidationState,
  replaceBars,
} from '../../db/queries/bars-write.ts';
import { type NewQuarantine, settleQuarantine, storeQuarantine } from '../../db/queries/quarantine.ts';
import { storeCorporateActions, storeFundamentals, storeInstruments } from '../../db/queries/reference.ts';
import { storeSymbolOutcomes, type SymbolOutcome } from '../../db/queries/symbol-outcomes.ts';
import { type BarColumns, type PriceBasis, priceBasisKey, sessionDateOf } from '../../domain/bars.ts';
import type { Provenance } from '../../providers/port.ts';
import type { SessionNeed } from './fetch.ts';
import { groupBy } from './group.ts';
import { knowledgeOf } from './knowledge.ts';
import type { IngestionNight } from './night.ts';
import type { FetchedReference, Sourced } from './reference.ts';

/** What is to be stored of one symbol. Rows are indexes into `fetched`. */
export type SymbolWrite = {
  symbol: string;
  fetched: BarColumns;
  fresh: readonly number[];
  changed: readonly { row: number; revision: number }[];
  basis: PriceBasis;
  provenance: Provenance;
  quarantine: readonly NewQuarantine[];
  gaps: readonly string[];
  /** Per fetched row: when it counts as knowable (ms), and its state by number. */
  availableAtMs: (row: number) => number;
  stateOf: (row: number) => number;
};

export type ChunkWrite = {
  step: TaskStep;
  night: IngestionNight;
  /** What was known of each symbol before this night. */
  needs: readonly SessionNeed[];
  writes: readonly SymbolWrite[];
  outcomes: readonly SymbolOutcome[];
  reference: FetchedReference;
};

/**
 * Stores a chunk in one transaction, under the fence of the attempt: bars, revisions, quarantine, gaps,
 * reference data and the outcome rows, or nothing. Counts of inserted and revised rows go into the
 * outcomes as planned; rows that somebody else stored meanwhile stand.
 */
export async function storeChunk(sql: Sql, chunk: ChunkWrite): Promise<void> {
  const { step, writes, reference } = chunk;
  const { taskRunId } = step;
  await sql.begin(async (tx) => {
    await assertCurrentAttempt(tx, step.fence);
    const bySource = groupBy(writes, sourceKey);
    for (const group of bySource.values()) await storeGroup(tx, step, group);
    await storeQuarantine(tx, { rows: writes.flatMap((write) => write.quarantine), taskRunId });
    for (const [provider, group] of groupBy(writes, (write) => write.provenance.provider)) {
      const gaps = group.flatMap(({ symbol, gaps }) => gaps.map((sessionDate) => ({ symbol, sessionDate })));
      await insertGaps(tx, { gaps, provider, taskRunId });
    }
    await storeInstruments(tx, { instruments: reference.instruments, provider: reference.provider });
    await storeFacts(tx, chunk);
    await storeSymbolOutcomes(tx, { taskRunId, outcomes: chunk.outcomes });
  });
}

/** Actions and statements, each with the session from which nights know it. */
async function storeFacts(tx: Tx, { step, night, needs, reference }: ChunkWrite): Promise<void> {
  const needOf = new Map(needs.map((need) => [need.symbol, need]));
  const context = { knownAt: new Date(night.nowMs).toISOString(), taskRunId: step.taskRunId };
  const known = <Fact extends { symbol: string }>(
    { fact, provider }: Sourced<Fact>,
    date: string,
    askedSince: 'always' | 'firstBar',
  ) => {
    const need = needOf.get(fact.symbol);
    return { fact, provider, knowledge: knowledgeOf({ date, night, need, askedSince }) };
  };
  await storeCorporateActions(tx, {
    ...context,
    splits: reference.splits.map((one) => known(one, one.fact.exDate, 'firstBar')),
    dividends: reference.dividends.map((one) => known(one, one.fact.exDate, 'firstBar')),
  });
  await storeFundamentals(tx, {
    ...context,
    records: reference.fundamentals.map((fact) =>
      known({ fact, provider: reference.provider }, fact.availableAt, 'always'),
    ),
  });
}

async function storeGroup(tx: Tx, step: TaskStep, group: readonly SymbolWrite[]): Promise<void> {
  const first = group[0];
  const written = group.filter((write) => write.fresh.length + write.changed.length > 0);
  if (first === undefined || written.length === 0) return;
  const sourceId = await insertBarSource(tx, {
    provider: first.provenance.provider,
    dataset: first.provenance.dataset,
    basis: first.basis,
    fetchedAt: first.provenance.fetchedAt,
    nightSession: step.sessionDate,
    taskRunId: step.taskRunId,
  });
  const fresh = collectRows(written, (write) => write.fresh, sourceId);
  await insertBars(tx, fresh);
  const changed = collectRows(written, (write) => write.changed.map((one) => one.row), sourceId);
  await replaceBars(tx, {
    bars: changed,
    expectedRevisions: Int32Array.from(written.flatMap((write) => write.changed.map((one) => one.revision))),
    sessionDate: step.sessionDate,
    taskRunId: step.taskRunId,
  });
  await settleQuarantine(tx, { keys: keysOf(written) });
  await lowerValidationState(tx, firstWrittenOf(written));
}

function sourceKey({ basis, provenance }: SymbolWrite): string {
  return [provenance.provider, provenance.dataset, provenance.fetchedAt, priceBasisKey(basis)].join(' ');
}

function collectRows(
  writes: readonly SymbolWrite[],
  rowsOf: (write: SymbolWrite) => readonly number[],
  sourceId: number,
): BarRows {
  const picked = writes.map(rowsOf);
  const rows = picked.reduce((sum, list) => sum + list.length, 0);
  const bars: BarRows = {
    rows,
    symbols: writes.map((write) => write.symbol),
    codes: new Int32Array(rows),
    epochDays: new Int32Array(rows),
    open: new Float64Array(rows),
    high: new Float64Array(rows),
    low: new Float64Array(rows),
    close: new Float64Array(rows),
    volume: new Float64Array(rows),
    availableAtMs: new Float64Array(rows),
    states: new Int32Array(rows),
    sourceId,
  };
  let to = 0;
  for (const [code, write] of writes.entries()) {
    const { fetched } = write;
    for (const row of picked[code] ?? []) {
      bars.codes[to] = code;
      bars.epochDays[to] = fetched.epochDays[row] ?? 0;
      bars.open[to] = fetched.open[row] ?? Number.NaN;
      bars.high[to] = fetched.high[row] ?? Number.NaN;
      bars.low[to] = fetched.low[row] ?? Number.NaN;
      bars.close[to] = fetched.close[row] ?? Number.NaN;
      bars.volume[to] = fetched.volume[row] ?? Number.NaN;
      bars.availableAtMs[to] = write.availableAtMs(row);
      bars.states[to] = write.stateOf(row);
      to += 1;
    }
  }
  return bars;
}

/** Stored sessions of symbols that have quarantined rows at all: most chunks have none. */
function keysOf(writes: readonly SymbolWrite[]): { symbol: string; sessionDate: string }[] {
  return writes.flatMap(({ symbol, fetched, fresh, changed }) => {
    // A first load cannot settle anything; skip turning its thousands of rows into dates.
    if (fresh.length > 400) return [];
    const rows = [...fresh, ...changed.map((one) => one.row)];
    return rows.map((row) => ({ symbol, sessionDate: sessionDateOf(fetched.epochDays[row] ?? 0) }));
  });
}

function firstWrittenOf(writes: readonly SymbolWrite[]): Map<string, string> {
  return new Map(
    writes.map(({ symbol, fetched, fresh, changed }) => {
      const rows = [...fresh.slice(0, 1), ...changed.slice(0, 1).map((one) => one.row)];
      const first = Math.min(...rows.map((row) => fetched.epochDays[row] ?? 0));
      return [symbol, sessionDateOf(first)];
    }),
  );
}
