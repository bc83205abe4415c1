import {
  epochDayOf,
  lowerBound,
  parsePriceBasisKey,
  type PriceBasis,
  priceBasisKey,
} from '../../domain/bars.ts';
import { type BarTable, joinTables, readPackedBars } from '../bar-columns.ts';
import type { Queryable, Tx } from '../client.ts';
import { onlyRow } from '../client.ts';
import { dateLiteral, instantLiteral, textArrayLiteral } from '../literals.ts';
import { calendarDates } from './sessions.ts';

/** `bars.state` by number. */
export const BAR_STATE = { provisional: 0, final: 1, revised: 2 } as const;

export type BarSource = {
  sourceId: number;
  provider: string;
  basis: PriceBasis;
  fetchedAt: string;
};

/** One symbol's stored rows as a night may use them. */
export type StoredBars = BarTable & {
  /** 1 where a doubt, known at the night asked for, makes the row count as missing. */
  flagged: Uint8Array;
};

export type BarsAsOf = { symbols: Map<string, StoredBars>; sources: Map<number, BarSource>; rows: number };

/**
 * Bars of `symbols` as the night of `throughSession` knew them: nothing later than that session, values
 * available before `cutoff` (a later revision gives its predecessor), doubts known by then. A symbol
 * without a bar is absent from the map. About 1 s for 620,000 rows.
 */
export async function readBars(
  sql: Queryable,
  input: {
    symbols: readonly string[];
    throughSession: string;
    /** From `nightCutoff`. */
    cutoff: string;
    fromSession?: string;
    /** Also honours doubts that only this member list's comparison raised. */
    universeVersion?: string;
  },
): Promise<BarsAsOf> {
  const cutoff = instantLiteral(input.cutoff);
  const where = [
    `symbol = any(${textArrayLiteral(input.symbols)})`,
    `session_date <= ${dateLiteral(input.throughSession)}`,
    ...(input.fromSession === undefined ? [] : [`session_date >= ${dateLiteral(input.fromSession)}`]),
    `available_at < ${cutoff}`,
  ].join(' and ');
  const current = await readPackedBars(sql, `market.bars where ${where}`);
  const predecessors = await readPackedBars(
    sql,
    `market.bar_revisions where ${where} and superseded_at >= ${cutoff}`,
  );
  for (const [symbol, older] of predecessors) {
    const table = current.get(symbol);
    current.set(symbol, table === undefined ? older : joinTables(table, older));
  }
  const symbols = withFlags(current);
  for (const flag of await readDoubts(sql, input)) {
    const stored = symbols.get(flag.symbol);
    if (stored === undefined) continue;
    const day = epochDayOf(flag.sessionDate);
    const row = lowerBound(stored.bars.epochDays, day);
    if (stored.bars.epochDays[row] === day) stored.flagged[row] = 1;
  }
  return { symbols, sources: await readBarSources(sql), rows: countRows(symbols) };
}

function withFlags(tables: ReadonlyMap<string, BarTable>): Map<string, StoredBars> {
  return new Map(
    [...tables].map(([symbol, table]) => [
      symbol,
      { ...table, flagged: new Uint8Array(table.bars.epochDays.length) },
    ]),
  );
}

function countRows(symbols: ReadonlyMap<string, BarTable>): number {
  let rows = 0;
  for (const { bars } of symbols.values()) rows += bars.epochDays.length;
  return rows;
}

/**
 * Bars as they are stored now, whatever a past night may see: what a writer compares with.
 * Rows of `[fromSession, throughSession]` only; `flagged` is not filled.
 */
export async function readCurrentBars(
  sql: Queryable,
  input: { symbols: readonly string[]; fromSession: string; throughSession: string },
): Promise<BarsAsOf> {
  const from = `market.bars where symbol = any(${textArrayLiteral(input.symbols)})
    and session_date between ${dateLiteral(input.fromSession)} and ${dateLiteral(input.throughSession)}`;
  const symbols = withFlags(await readPackedBars(sql, from));
  return { symbols, sources: await readBarSources(sql), rows: countRows(symbols) };
}

/** The newest bar before a session, by symbol; absent: there is none. */
export async function readNewestBefore(
  sql: Queryable,
  input: { symbols: readonly string[]; session: string },
): Promise<Map<string, string>> {
  const rows = await sql<{ symbol: string; newest: string }[]>`
    select s.symbol, b.session_date as newest from unnest(${[...input.symbols]}::text[]) as s(symbol)
    cross join lateral (select session_date from market.bars
      where symbol = s.symbol collate "C" and session_date < ${input.session}
      order by session_date desc limit 1) b`;
  return new Map(rows.map(({ symbol, newest }) => [symbol, newest]));
}

/** Of `symbols`, those with a bar after a session. */
export async function readSymbolsAfter(
  sql: Queryable,
  input: { symbols: readonly string[]; session: string },
): Promise<string[]> {
  const rows = await sql<{ symbol: string }[]>`
    select s.symbol from unnest(${[...input.symbols]}::text[]) as s(symbol)
    where exists (select 1 from market.bars b
      where b.symbol = s.symbol collate "C" and b.session_date > ${input.session})`;
  return rows.map(({ symbol }) => symbol);
}

/** First and last bar of a session up to the given one and how many there are, by symbol. */
export async function readBarSpans(
  sql: Queryable,
  input: { symbols: readonly string[]; throughSession: string },
): Promise<{ symbol: string; first: string; last: string; bars: number }[]> {
  return await sql<{ symbol: string; first: string; last: string; bars: number }[]>`
    select symbol, min(session_date) as first, max(session_date) as last, count(*) as bars
    from market.bars join (${calendarDates(sql)}) c using (session_date)
    where symbol = any(${[...input.symbols]}) and session_date <= ${input.throughSession}
    group by symbol`;
}

/** Bars of sessions whose predecessor lies more than so many days back. */
export async function readDistantBars(
  sql: Queryable,
  input: { symbols: readonly string[]; throughSession: string; moreThanDays: number },
): Promise<{ symbol: string; previous: string; sessionDate: string }[]> {
  return await sql<{ symbol: string; previous: string; sessionDate: string }[]>`
    select symbol, previous, session_date from (
      select symbol, session_date, lag(session_date) over (partition by symbol order by session_date) as previous
      from market.bars join (${calendarDates(sql)}) c using (session_date)
      where symbol = any(${[...input.symbols]}) and session_date <= ${input.throughSession}) b
    where session_date - previous > ${input.moreThanDays} order by symbol, session_date`;
}

/** Every source, by id: some rows per night. */
export async function readBarSources(sql: Queryable): Promise<Map<number, BarSource>> {
  const rows = await sql<{ sourceId: number; provider: string; priceBasis: string; fetchedAt: string }[]>`
    select source_id, provider, price_basis, fetched_at from market.bar_sources`;
  return new Map(
    rows.map((row) => [
      row.sourceId,
      {
        sourceId: row.sourceId,
        provider: row.provider,
        basis: parsePriceBasisKey(row.priceBasis),
        fetchedAt: row.fetchedAt,
      },
    ]),
  );
}

type Doubt = { symbol: string; sessionDate: string };

async function readDoubts(
  sql: Queryable,
  input: { symbols: readonly string[]; throughSession: string; universeVersion?: string },
): Promise<Doubt[]> {
  return await sql<Doubt[]>`
    select distinct symbol, session_date from market.bar_flags
    where symbol = any(${[...input.symbols]}) and severity = 'doubtful'
      and scope in ('', ${input.universeVersion ?? ''}) and session_date <= ${input.throughSession}
      and available_session <= ${input.throughSession}
      and (resolved_session is null or resolved_session > ${input.throughSession})`;
}

/** Provenance of one write; the id goes into its bars. */
export async function insertBarSource(
  tx: Tx,
  source: {
    provider: string;
    dataset: string;
    basis: PriceBasis;
    fetchedAt: string;
    nightSession: string;
    taskRunId: string;
  },
): Promise<number> {
  const rows = await tx<{ sourceId: number }[]>`
    insert into market.bar_sources (provider, dataset, price_basis, basis_date, fetched_at, night_session, task_run_id)
    values (${source.provider}, ${source.dataset}, ${priceBasisKey(source.basis)}, ${source.basis.asOf}, ${source.fetchedAt},
      ${source.nightSession}, ${source.taskRunId})
    returning source_id`;
  return onlyRow(rows, 'bar source').sourceId;
}

/** Members with a bar, and with a usable one, on a session; their rows and known gaps on sessions up to it. */
export async function sessionCoverage(
  sql: Queryable,
  input: { symbols: readonly string[]; sessionDate: string; fromSession: string; universeVersion: string },
): Promise<{ onSession: number; usableOnSession: number; gaps: number; rows: number }> {
  const symbols = [...input.symbols];
  const [row] = await sql<{ onSession: number; doubtful: number; gaps: number; rows: number }[]>`
    with today as (
      select symbol from market.bars
      where symbol = any(${symbols}) and session_date = ${input.sessionDate}),
    calendar as materialized (${calendarDates(sql)})
    select (select count(*) from today) as on_session,
      (select count(distinct f.symbol) from market.bar_flags f join today using (symbol)
       where f.session_date = ${input.sessionDate} and f.severity = 'doubtful'
         and f.scope in ('', ${input.universeVersion}) and f.available_session <= ${input.sessionDate}
         and (f.resolved_session is null or f.resolved_session > ${input.sessionDate})) as doubtful,
      (select count(*) from market.gaps g join calendar using (session_date)
       where g.symbol = any(${symbols}) and g.session_date between ${input.fromSession} and ${input.sessionDate}
         and not exists (select 1 from market.bars b
           where b.symbol = g.symbol and b.session_date = g.session_date)) as gaps,
      (select count(*) from market.bars join calendar using (session_date)
       where symbol = any(${symbols}) and session_date between ${input.fromSession} and ${input.sessionDate}) as rows`;
  const counted = onlyRow(row === undefined ? [] : [row], 'coverage');
  return {
    onSession: counted.onSession,
    usableOnSession: counted.onSession - counted.doubtful,
    gaps: counted.gaps,
    rows: counted.rows,
  };
}
