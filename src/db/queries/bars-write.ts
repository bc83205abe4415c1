import type { Queryable, Tx } from '../client.ts';
import { onlyRow } from '../client.ts';
import { copyIn, type CopyColumn } from '../copy.ts';
import { databaseErrorCode } from '../errors.ts';
import { mergeRows } from '../merge.ts';
import { calendarDates } from './sessions.ts';

/** Bars to write: rows ordered by symbol and date; `codes[row]` picks the symbol. NaN = null. */
export type BarRows = {
  rows: number;
  symbols: readonly string[];
  codes: Int32Array;
  epochDays: Int32Array;
  open: Float64Array;
  high: Float64Array;
  low: Float64Array;
  close: Float64Array;
  volume: Float64Array;
  /** ms since 1970. */
  availableAtMs: Float64Array;
  /** Index into BAR_STATES. */
  states: Int32Array;
  sourceId: number;
};

function barColumns(bars: BarRows): Record<string, CopyColumn> {
  return {
    symbol: { type: 'dictionary', codes: bars.codes, dictionary: bars.symbols },
    session_date: { type: 'date', values: bars.epochDays },
    open: { type: 'float8', values: bars.open },
    high: { type: 'float8', values: bars.high },
    low: { type: 'float8', values: bars.low },
    close: { type: 'float8', values: bars.close },
    volume: { type: 'float8', values: bars.volume },
    available_at: { type: 'timestamptz', values: bars.availableAtMs },
    source_id: { type: 'constant', of: 'int4', value: bars.sourceId },
    state: { type: 'int2', values: bars.states },
  };
}

/**
 * Stores bars that the writer saw missing. COPY goes straight into the table, twice as fast as a staging
 * table; if somebody else stored one of them meanwhile, the same rows are merged and the stored ones
 * stand (the next night compares them). Returns how many were new.
 */
export async function insertBars(tx: Tx, bars: BarRows): Promise<number> {
  if (bars.rows === 0) return 0;
  const columns: Record<string, CopyColumn> = {
    ...barColumns(bars),
    revision: { type: 'constant', of: 'int2', value: 0 },
  };
  try {
    await tx.savepoint((inner) => copyIn({ tx: inner, table: 'market.bars', columns, rows: bars.rows }));
    return bars.rows;
  } catch (error) {
    if (databaseErrorCode(error) !== '23505') throw error;
    const merged = await mergeRows({
      tx,
      table: 'market.bars',
      columns,
      rows: bars.rows,
      key: ['symbol', 'session_date'],
    });
    return merged.inserted;
  }
}

export type RevisionCounts = {
  /** Values changed after they were final. */
  revised: number;
  /** Provisional rows that became final (with or without other values). */
  finalized: number;
};

/**
 * Replaces stored bars. Other values keep their predecessor in `bar_revisions` and count one revision
 * up; a final bar becomes `revised` and leaves an event `bar.revised`, a provisional one becomes final and leaves
 * `bar.finalized` where its values changed.
 * Rows whose stored revision is no longer `expectedRevisions[row]` are left alone. Doubts about a
 * replaced bar are settled as of `sessionDate`.
 */
export async function replaceBars(
  tx: Tx,
  input: { bars: BarRows; expectedRevisions: Int32Array; sessionDate: string; taskRunId: string },
): Promise<RevisionCounts> {
  if (input.bars.rows === 0) return { revised: 0, finalized: 0 };
  await tx`
    create temp table replaced_bars on commit drop as
    select b.*, 0::smallint as expected_revision from market.bars b with no data`;
  await copyIn({
    tx,
    table: 'replaced_bars',
    rows: input.bars.rows,
    columns: {
      ...barColumns(input.bars),
      expected_revision: { type: 'int2', values: input.expectedRevisions },
    },
  });
  const counts = await tx<RevisionCounts[]>`
    with old as (
      select b.*, n.available_at as new_available_at,
        (b.open, b.high, b.low, b.close, b.volume) is distinct from (n.open, n.high, n.low, n.close, n.volume)
          as differs
      from market.bars b join replaced_bars n using (symbol, session_date)
      where b.revision = n.expected_revision
      for update of b),
    kept as (
      insert into market.bar_revisions (symbol, session_date, revision, open, high, low, close, volume,
        available_at, source_id, state, superseded_at)
      select symbol, session_date, revision, open, high, low, close, volume, available_at, source_id, state,
        new_available_at
      from old where differs),
    changed as (
      update market.bars b set open = n.open, high = n.high, low = n.low, close = n.close, volume = n.volume,
        available_at = case when old.differs then n.available_at else b.available_at end,
        source_id = case when old.differs then n.source_id else b.source_id end,
        state = case when b.state = 0 then n.state when old.differs then 2 else b.state end,
        revision = b.revision + old.differs::int
      from replaced_bars n, old
      where b.symbol = n.symbol and b.session_date = n.session_date
        and old.symbol = b.symbol and old.session_date = b.session_date
        and (old.differs or b.state is distinct from case when b.state = 0 then n.state else b.state end)
      returning b.symbol, b.session_date, b.revision, old.state as old_state, old.differs,
        old.open as old_open, old.high as old_high, old.low as old_low, old.close as old_close,
        old.volume as old_volume, b.available_at, b.open, b.high, b.low, b.close, b.volume),
    told as (
      insert into ops.events (kind, subject, session_date, details, task_run_id)
      select case when old_state > 0 then 'bar.revised' else 'bar.finalized' end, symbol, session_date,
        jsonb_build_object('revision', revision, 'availableAt', available_at,
          'before', jsonb_build_object('open', old_open, 'high', old_high, 'low', old_low, 'close', old_close, 'volume', old_volume),
          'after', jsonb_build_object('open', open, 'high', high, 'low', low, 'close', close, 'volume', volume)),
        ${input.taskRunId}::text
      from changed where differs),
    settled as (
      update market.bar_flags f set resolved_session = ${input.sessionDate}
      from changed c
      where f.symbol = c.symbol and f.session_date = c.session_date and c.differs
        and f.resolved_session is null)
    select count(*) filter (where differs and old_state > 0) as revised,
           count(*) filter (where old_state = 0) as finalized
    from changed`;
  await tx`drop table replaced_bars`;
  return onlyRow(counts, 'replaced bars');
}

export type FlagRow = {
  symbol: string;
  sessionDate: string;
  kind: string;
  severity: 'doubtful' | 'note';
  reason: string;
  availableSession: string;
};

/** Stores doubts and notes; one that is stored stays as it was first found. Returns how many are new. */
export async function insertFlags(
  tx: Tx,
  input: { flags: readonly FlagRow[]; scope: string; taskRunId: string },
): Promise<number> {
  const { flags } = input;
  const dayOf = (date: string): number => Date.parse(date) / 86_400_000;
  const merged = await mergeRows({
    tx,
    table: 'market.bar_flags',
    rows: flags.length,
    key: ['symbol', 'session_date', 'kind', 'scope'],
    columns: {
      symbol: { type: 'text', values: flags.map((flag) => flag.symbol) },
      session_date: { type: 'date', values: flags.map((flag) => dayOf(flag.sessionDate)) },
      kind: { type: 'text', values: flags.map((flag) => flag.kind) },
      scope: { type: 'constant', of: 'text', value: input.scope },
      severity: { type: 'text', values: flags.map((flag) => flag.severity) },
      reason: { type: 'text', values: flags.map((flag) => flag.reason) },
      available_session: { type: 'date', values: flags.map((flag) => dayOf(flag.availableSession)) },
      task_run_id: { type: 'constant', of: 'text', value: input.taskRunId },
    },
  });
  return merged.inserted;
}

/** Remembers sessions for which a provider had nothing. */
export async function insertGaps(
  tx: Tx,
  input: { gaps: readonly { symbol: string; sessionDate: string }[]; provider: string; taskRunId: string },
): Promise<void> {
  const { gaps } = input;
  await mergeRows({
    tx,
    table: 'market.gaps',
    rows: gaps.length,
    key: ['symbol', 'session_date'],
    columns: {
      symbol: { type: 'text', values: gaps.map((gap) => gap.symbol) },
      session_date: { type: 'date', values: gaps.map((gap) => Date.parse(gap.sessionDate) / 86_400_000) },
      provider: { type: 'constant', of: 'text', value: input.provider },
      task_run_id: { type: 'constant', of: 'text', value: input.taskRunId },
    },
  });
}

/** Known gaps of symbols from a session on. */
export async function readGaps(
  sql: Queryable,
  input: { symbols: readonly string[]; fromSession: string },
): Promise<{ symbol: string; sessionDate: string }[]> {
  return await sql<{ symbol: string; sessionDate: string }[]>`
    select symbol, session_date from market.gaps
    where symbol = any(${[...input.symbols]}) and session_date >= ${input.fromSession}`;
}

export type KnownSessions = {
  symbol: string;
  /** Sessions up to the night's with a bar, a quarantined row or a known gap. */
  known: number;
  /** Newest of them. */
  newestKnown: string | null;
  /** Oldest bar, of any night. */
  oldestBar: string | null;
  /** Newest bar up to the night's session. */
  newestBar: string | null;
  /** A later night has stored bars already: this one is a replay for the symbol. */
  hasLater: boolean;
};

/**
 * How much of each symbol's sessions is known, from its own first one to the night's. Dates that are no session (any
 * more) do not count: there may be rows of a session that was closed or taken back since.
 */
export async function readKnownSessions(
  sql: Queryable,
  input: { symbols: readonly { symbol: string; fromSession: string }[]; throughSession: string },
): Promise<KnownSessions[]> {
  const symbols = input.symbols.map((one) => one.symbol);
  const from = input.symbols.map((one) => one.fromSession);
  return await sql<KnownSessions[]>`
    with asked as (
      select symbol collate "C" as symbol, from_session
      from unnest(${symbols}::text[], ${from}::date[]) as a(symbol, from_session)),
    calendar as materialized (${calendarDates(sql)}),
    stored as (
      select a.symbol,
        count(*) filter (where c.session_date between a.from_session and ${input.throughSession}) as bars,
        min(b.session_date) as oldest,
        max(c.session_date) filter (where c.session_date <= ${input.throughSession}) as newest,
        max(b.session_date) > ${input.throughSession} as has_later
      from asked a join market.bars b on b.symbol = a.symbol
      left join calendar c on c.session_date = b.session_date group by a.symbol),
    without as (
      select a.symbol, count(distinct o.session_date) as rows, max(o.session_date) as newest
      from asked a
      join (select symbol, session_date from market.quarantine where subject = 'bar'
            union all select symbol, session_date from market.gaps) o
        on o.symbol = a.symbol and o.session_date between a.from_session and ${input.throughSession}
      join calendar c on c.session_date = o.session_date
      where not exists (select 1 from market.bars b
        where b.symbol = o.symbol and b.session_date = o.session_date)
      group by a.symbol)
    select a.symbol, coalesce(s.bars, 0) + coalesce(w.rows, 0) as known,
      greatest(s.newest, w.newest) as newest_known, s.newest as newest_bar, s.oldest as oldest_bar,
      coalesce(s.has_later, false) as has_later
    from asked a left join stored s on s.symbol = a.symbol left join without w on w.symbol = a.symbol
    order by a.symbol`;
}

/** First and last session about which nothing is known, of symbols with holes; absent: there is none. */
export async function readMissingSessions(
  sql: Queryable,
  input: { symbols: readonly { symbol: string; fromSession: string }[]; throughSession: string },
): Promise<Map<string, { first: string; last: string }>> {
  const symbols = input.symbols.map((one) => one.symbol);
  const from = input.symbols.map((one) => one.fromSession);
  const rows = await sql<{ symbol: string; first: string; last: string }[]>`
    with asked as (
      select symbol collate "C" as symbol, from_session
      from unnest(${symbols}::text[], ${from}::date[]) as a(symbol, from_session)),
    known as (
      select symbol, session_date from market.bars where symbol = any(${symbols})
      union all select symbol, session_date from market.quarantine
        where symbol = any(${symbols}) and subject = 'bar'
      union all select symbol, session_date from market.gaps where symbol = any(${symbols}))
    select a.symbol, min(s.session_date) as first, max(s.session_date) as last
    from asked a
    join (${calendarDates(sql)}) s
      on s.session_date between a.from_session and ${input.throughSession}
    left join known k on k.symbol = a.symbol and k.session_date = s.session_date
    where k.symbol is null
    group by a.symbol`;
  return new Map(rows.map(({ symbol, first, last }) => [symbol, { first, last }]));
}

/** The session up to which the doubts of each symbol are known, by symbol; absent: none yet. */
export async function readValidationState(
  sql: Queryable,
  input: { symbols: readonly string[]; scope: string },
): Promise<Map<string, string>> {
  const rows = await sql<{ symbol: string; revealedThrough: string }[]>`
    select symbol, revealed_through from market.validation_state
    where symbol = any(${[...input.symbols]}) and scope = ${input.scope}`;
  return new Map(rows.map((row) => [row.symbol, row.revealedThrough]));
}

/** Raises the mark of each symbol to `through`; a higher one stays. */
export async function raiseValidationState(
  tx: Tx,
  input: { symbols: readonly string[]; scope: string; through: string },
): Promise<void> {
  await tx`
    insert into market.validation_state as v (symbol, scope, revealed_through)
    select symbol, ${input.scope}, ${input.through}::date from unnest(${[...input.symbols]}::text[]) as s(symbol)
    on conflict (symbol, scope) do update set revealed_through = excluded.revealed_through, recorded_at = now()
    where excluded.revealed_through > v.revealed_through`;
}

/** Sets marks back to before the first session written, so that doubts there are looked for again. */
export async function lowerValidationState(tx: Tx, firstWritten: ReadonlyMap<string, string>): Promise<void> {
  if (firstWritten.size === 0) return;
  await tx`
    update market.validation_state v set revealed_through = w.first_written - 1, recorded_at = now()
    from unnest(${[...firstWritten.keys()]}::text[], ${[...firstWritten.values()]}::date[])
      as w(symbol, first_written)
    where v.symbol = w.symbol and v.revealed_through >= w.first_written`;
}
