import type { Queryable, Tx } from '../client.ts';
import { jsonb } from '../client.ts';

/** A bar as delivered; null where the provider gave none. */
export type RawBar = {
  open: number | null;
  high: number | null;
  low: number | null;
  close: number | null;
  volume: number | null;
};

export type NewQuarantine = {
  symbol: string;
  sessionDate: string;
  /** `bar`, `split 7:1`, `gap`, `dividend 12.5` or `dividend basis`. */
  subject: string;
  provider: string;
  priceBasis: string;
  codes: string[];
  reason: string;
  /** Every bar delivered for that session: more than one is a duplicate. Empty for what is no bar. */
  raw: RawBar[];
  availableAt: string;
};
/** Who closed a row that no person looked at. */
const BY_INGESTION = 'ingestion';

export type QuarantineStatus = 'pending' | 'released' | 'rejected';
export type QuarantineRow = NewQuarantine & {
  status: QuarantineStatus;
  decidedBy: string | null;
  decidedAt: string | null;
  decisionReason: string | null;
  taskRunId: string | null;
  recordedAt: string;
};

/**
 * Stores impossible bars. One that is known with the same raw values stays as it is, whatever was
 * decided; other raw values make it pending again. Returns how many rows were new or changed.
 */
export async function storeQuarantine(
  tx: Tx,
  input: { rows: readonly Omit<NewQuarantine, 'subject'>[]; taskRunId: string },
): Promise<number> {
  if (input.rows.length === 0) return 0;
  const records = input.rows.map((row) => ({
    symbol: row.symbol,
    session_date: row.sessionDate,
    provider: row.provider,
    price_basis: row.priceBasis,
    codes: row.codes,
    reason: row.reason,
    raw: row.raw,
    available_at: row.availableAt,
  }));
  const changed = await tx`
    insert into market.quarantine as q (symbol, session_date, provider, price_basis, codes, reason, raw,
      available_at, task_run_id)
    select r.symbol, r.session_date, r.provider, r.price_basis, r.codes, r.reason, r.raw, r.available_at,
      ${input.taskRunId}
    from jsonb_to_recordset(${tx.json(jsonb(records))}::jsonb) as r(symbol text, session_date date,
      provider text, price_basis text, codes text[], reason text, raw jsonb, available_at timestamptz)
    on conflict (symbol, session_date, subject, provider) do update set raw = excluded.raw, codes = excluded.codes,
      reason = excluded.reason, price_basis = excluded.price_basis, status = 'pending', decided_by = null,
      decided_at = null, decision_reason = null, task_run_id = excluded.task_run_id, recorded_at = now()
    where q.raw is distinct from excluded.raw
    returning 1`;
  return changed.length;
}

/**
 * Puts splits, dividends and gaps before a person. One that is there stays as it is, decided or not; one that ingestion had
 * closed itself is open again. Those that are open now leave an event in words.
 */
export async function openReviews(
  tx: Tx,
  input: { rows: readonly NewQuarantine[]; taskRunId: string },
): Promise<number> {
  if (input.rows.length === 0) return 0;
  const records = input.rows.map((row) => ({
    symbol: row.symbol,
    session_date: row.sessionDate,
    subject: row.subject,
    provider: row.provider,
    price_basis: row.priceBasis,
    codes: row.codes,
    reason: row.reason,
    available_at: row.availableAt,
  }));
  const opened = await tx`
    with opened as (
      insert into market.quarantine as q (symbol, session_date, subject, provider, price_basis, codes, reason, raw,
        available_at, task_run_id)
      select r.symbol, r.session_date, r.subject, r.provider, r.price_basis, r.codes, r.reason, '[]', r.available_at,
        ${input.taskRunId}
      from jsonb_to_recordset(${tx.json(jsonb(records))}::jsonb) as r(symbol text, session_date date, subject text,
        provider text, price_basis text, codes text[], reason text, available_at timestamptz)
      where not exists (select 1 from market.quarantine o where o.symbol = r.symbol
        and o.session_date = r.session_date and o.subject = r.subject and o.provider <> r.provider
        and (o.status <> 'rejected' or o.decided_by <> ${BY_INGESTION}))
      on conflict (symbol, session_date, subject, provider) do update set status = 'pending', decided_by = null,
        decided_at = null, decision_reason = null, reason = excluded.reason, codes = excluded.codes,
        task_run_id = excluded.task_run_id, recorded_at = now()
      where q.status = 'rejected' and q.decided_by = ${BY_INGESTION}
      returning q.*)
    insert into ops.events (kind, subject, session_date, details, task_run_id, handled_at, handled_by)
    select case when subject = 'gap' then 'gap.found' when subject like 'dividend %' then 'dividend.unconfirmed'
        else 'split.unconfirmed' end, symbol, session_date,
      jsonb_build_object('words', reason, 'codes', to_jsonb(codes), 'subject', subject), task_run_id, now(), task_run_id
    from opened returning 1`;
  return opened.length;
}

/** Closes open reviews whose question is answered by data that came since. */
export async function settleReviews(
  tx: Tx,
  input: { keys: readonly ReviewKey[]; why: string },
): Promise<void> {
  if (input.keys.length === 0) return;
  await tx`
    update market.quarantine q set status = 'rejected', decided_by = ${BY_INGESTION}, decided_at = now(),
      decision_reason = ${input.why}
    from unnest(${input.keys.map((key) => key.symbol)}::text[], ${input.keys.map((key) => key.sessionDate)}::date[],
        ${input.keys.map((key) => key.subject)}::text[]) as k(symbol, session_date, subject)
    where q.symbol = k.symbol and q.session_date = k.session_date and q.subject = k.subject and q.status = 'pending'`;
}

export type ReviewKey = { symbol: string; sessionDate: string; subject: string };

/** What a review is about; each has the subjects that begin so. */
export type ReviewKind = 'split' | 'dividend' | 'gap';

/** Splits, dividends or gaps nobody has decided about. */
export async function readOpenReviews(
  sql: Queryable,
  input: { symbols: readonly string[]; kind: ReviewKind },
): Promise<ReviewKey[]> {
  return await sql<ReviewKey[]>`
    select symbol, session_date, subject from market.quarantine
    where symbol = any(${[...input.symbols]}) and status = 'pending'
      and split_part(subject, ' ', 1) = ${input.kind}
    order by symbol, session_date`;
}

/** What people decided about splits, dividends and gaps before an instant: the cut-off of a night. */
export async function readReviewDecisions(
  sql: Queryable,
  input: { symbols: readonly string[]; cutoff: string },
): Promise<(ReviewKey & { status: 'released' | 'rejected' })[]> {
  return await sql<(ReviewKey & { status: 'released' | 'rejected' })[]>`
    select symbol, session_date, subject, status from market.quarantine
    where symbol = any(${[...input.symbols]}) and subject <> 'bar' and status <> 'pending'
      and decided_by <> ${BY_INGESTION} and decided_at < ${input.cutoff}`;
}

/** Closes pending rows for sessions that have a usable bar by now. */
export async function settleQuarantine(
  tx: Tx,
  input: { keys: readonly { symbol: string; sessionDate: string }[] },
): Promise<void> {
  if (input.keys.length === 0) return;
  await tx`
    update market.quarantine q set status = 'rejected', decided_by = ${BY_INGESTION}, decided_at = now(),
      decision_reason = 'the provider delivered a usable bar later'
    from unnest(${input.keys.map((key) => key.symbol)}::text[], ${input.keys.map((key) => key.sessionDate)}::date[])
      as k(symbol, session_date)
    where q.symbol = k.symbol and q.session_date = k.session_date and q.subject = 'bar' and q.status = 'pending'`;
}

/** Rows of symbols up to a session, by symbol and date. */
export async function readQuarantine(
  sql: Queryable,
  filter: {
    symbols?: readonly string[];
    throughSession?: string;
    status?: QuarantineStatus;
    /** Only rows about this; absent: about anything. */
    subject?: 'bar';
    limit?: number;
  },
): Promise<QuarantineRow[]> {
  return await sql<QuarantineRow[]>`
    select * from market.quarantine
    where ${filter.symbols === undefined ? sql`true` : sql`symbol = any(${[...filter.symbols]})`}
      and ${filter.throughSession === undefined ? sql`true` : sql`session_date <= ${filter.throughSession}`}
      and ${filter.status === undefined ? sql`true` : sql`status = ${filter.status}`}
      and ${filter.subject === undefined ? sql`true` : sql`subject = ${filter.subject}`}
    order by symbol, session_date, subject, provider limit ${filter.limit ?? 10_000}`;
}

type QuarantineKey = { symbol: string; sessionDate: string; subject: string; provider: string };

/** One row, kept from other writers until the transaction ends; null if there is none. */
export async function lockQuarantineRow(tx: Tx, key: QuarantineKey): Promise<QuarantineRow | null> {
  const [row] = await tx<QuarantineRow[]>`
    select * from market.quarantine
    where symbol = ${key.symbol} and session_date = ${key.sessionDate} and subject = ${key.subject}
      and provider = ${key.provider}
    for update`;
  return row ?? null;
}

/** Records a person's decision on a row that is locked and pending. */
export async function closeQuarantineRow(
  tx: Tx,
  input: QuarantineKey & { status: 'released' | 'rejected'; by: string; why: string; at: string },
): Promise<void> {
  await tx`
    update market.quarantine set status = ${input.status}, decided_by = ${input.by}, decided_at = ${input.at},
      decision_reason = ${input.why}
    where symbol = ${input.symbol} and session_date = ${input.sessionDate} and subject = ${input.subject}
      and provider = ${input.provider} and status = 'pending'`;
}

/**
 * Puts a row a person vouches for among the bars, known from `availableAt` on, so that no night before changes.
 * Returns false if a bar of that session is stored already.
 */
export async function insertReleasedBar(
  tx: Tx,
  input: Omit<QuarantineKey, 'subject'> & {
    priceBasis: string;
    raw: RawBar;
    availableAt: string;
    taskRunId: string;
  },
): Promise<boolean> {
  const { raw } = input;
  const inserted = await tx`
    with source as (
      insert into market.bar_sources (provider, dataset, price_basis, basis_date, fetched_at, task_run_id)
      select ${input.provider}::text, 'quarantine', ${input.priceBasis}::text,
        substring(${input.priceBasis}::text from '@(\\d{4}-\\d{2}-\\d{2})$')::date, ${input.availableAt}::timestamptz,
        ${input.taskRunId}::text
      where not exists (
        select 1 from market.bars where symbol = ${input.symbol} and session_date = ${input.sessionDate})
      returning source_id)
    insert into market.bars (symbol, session_date, open, high, low, close, volume, available_at, source_id,
      state, revision)
    select ${input.symbol}::text, ${input.sessionDate}::date, ${raw.open}::float8, ${raw.high}::float8,
      ${raw.low}::float8, ${raw.close}::float8, ${raw.volume}::float8, ${input.availableAt}::timestamptz, source_id, 1, 0
    from source
    on conflict (symbol, session_date) do nothing returning 1`;
  return inserted.length > 0;
}
