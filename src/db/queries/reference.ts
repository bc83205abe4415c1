import { createHash } from 'node:crypto';
import type {
  DividendAction,
  FundamentalRecord,
  Instrument,
  ReportedSplit,
} from '../../domain/market-data.ts';
import type { Queryable, Tx } from '../client.ts';
import { jsonb } from '../client.ts';
import { type Knowledge, storeVersions, type VersionCounts, type VersionedTable } from './versioned.ts';

/**
 * Stores instrument metadata; unchanged rows stay untouched. A person's word that the ticker means another company
 * since a long gap goes before a provider's earlier first session. Returns rows that changed.
 */
export async function storeInstruments(
  tx: Tx,
  input: { instruments: readonly Instrument[]; provider: string },
): Promise<number> {
  if (input.instruments.length === 0) return 0;
  const rows = input.instruments.map((instrument) => ({
    symbol: instrument.symbol,
    name: instrument.name,
    sector: instrument.sector,
    exchange: instrument.exchange,
    currency: instrument.currency,
    valid_from: instrument.firstSession,
    metadata: { metadataAsOf: instrument.metadataAsOf },
  }));
  const changed = await tx`
    insert into market.instruments as i (symbol, name, sector, exchange, currency, valid_from, metadata, provider)
    select r.symbol, r.name, r.sector, r.exchange, r.currency, greatest(r.valid_from, decided.valid_from), r.metadata,
      ${input.provider}
    from jsonb_to_recordset(${tx.json(jsonb(rows))}::jsonb) as r(symbol text, name text, sector text,
      exchange text, currency text, valid_from date, metadata jsonb)
    left join (
      select symbol, max(session_date) as valid_from from market.quarantine
      where subject = 'gap' and status = 'rejected' and decided_by <> 'ingestion' group by symbol) decided
      on decided.symbol = r.symbol
    on conflict (symbol) do update set name = excluded.name, sector = excluded.sector,
      exchange = excluded.exchange, currency = excluded.currency, valid_from = excluded.valid_from,
      metadata = excluded.metadata, provider = excluded.provider, recorded_at = now()
    where (i.name, i.sector, i.exchange, i.currency, i.valid_from, i.metadata, i.provider) is distinct from
      (excluded.name, excluded.sector, excluded.exchange, excluded.currency, excluded.valid_from,
       excluded.metadata, excluded.provider)
    returning 1`;
  return changed.length;
}

export type InstrumentRow = {
  symbol: string;
  name: string;
  sector: string;
  exchange: string;
  currency: string;
  validFrom: string | null;
};

/** Metadata by symbol, for grouping in reports: never a feature (it is of a later day). */
export async function readInstruments(
  sql: Queryable,
  symbols: readonly string[],
): Promise<Map<string, InstrumentRow>> {
  const rows = await sql<InstrumentRow[]>`
    select symbol, coalesce(name, symbol) as name, coalesce(sector, 'unknown') as sector,
      coalesce(exchange, 'unknown') as exchange, currency, valid_from
    from market.instruments where symbol = any(${[...symbols]})`;
  return new Map(rows.map((row) => [row.symbol, row]));
}

const SPLITS: VersionedTable = {
  table: 'market.splits',
  history: 'market.split_revisions',
  key: { symbol: 'text', ex_date: 'date' },
  compare: { new_shares: 'float8', old_shares: 'float8', asked: 'text[]', confirmed_by: 'text[]' },
  carry: { provider: 'text' },
  event: { kind: 'split.revised', date: 'ex_date' },
};
const DIVIDENDS: VersionedTable = {
  table: 'market.dividends',
  history: 'market.dividend_revisions',
  key: { symbol: 'text', ex_date: 'date' },
  compare: { amount: 'float8', currency: 'text' },
  carry: { provider: 'text', basis: 'text' },
  event: { kind: 'dividend.revised', date: 'ex_date' },
};
const FUNDAMENTALS: VersionedTable = {
  table: 'market.fundamentals',
  history: 'market.fundamental_revisions',
  key: { symbol: 'text', period_end: 'date', kind: 'text', provider: 'text' },
  compare: { content_hash: 'text' },
  carry: { currency: 'text', metrics: 'jsonb' },
  event: { kind: 'fundamentals.revised', date: 'period_end' },
};

/** A fact with what tells from when on nights know it. */
export type Known<Fact> = { fact: Fact; provider: string; knowledge: Knowledge };
type StoreContext = { knownAt: string; taskRunId: string };

/** Stores splits and dividends with their ex dates, one per symbol and date. Returns what changed. */
export async function storeCorporateActions(
  tx: Tx,
  input: StoreContext & {
    splits: readonly Known<ReportedSplit>[];
    dividends: readonly Known<DividendAction>[];
  },
): Promise<VersionCounts> {
  const { knownAt, taskRunId } = input;
  const splits = await storeVersions(tx, {
    into: SPLITS,
    rows: input.splits.map(({ fact, provider, knowledge }) => ({
      symbol: fact.symbol,
      ex_date: fact.exDate,
      new_shares: fact.newShares,
      old_shares: fact.oldShares,
      asked: fact.asked,
      confirmed_by: fact.confirmedBy,
      provider,
      ...knowledge,
    })),
    knownAt,
    taskRunId,
  });
  const dividends = await storeVersions(tx, {
    into: DIVIDENDS,
    rows: input.dividends.map(({ fact, provider, knowledge }) => ({
      symbol: fact.symbol,
      ex_date: fact.exDate,
      amount: fact.cashAmount,
      currency: fact.currency,
      provider,
      basis: 'asTraded',
      ...knowledge,
    })),
    knownAt,
    taskRunId,
  });
  return { added: splits.added + dividends.added, revised: splits.revised + dividends.revised };
}

type Actions = { splits: ReportedSplit[]; dividends: DividendAction[] };

/**
 * Splits and dividends as the night of `throughSession` knows them, by symbol. Splits between that session and
 * `unitsThrough` come as they are stored now: they only bring prices that hold them into the same share units.
 */
export async function readCorporateActions(
  sql: Queryable,
  input: { symbols: readonly string[]; throughSession: string; unitsThrough?: string },
): Promise<Map<string, Actions>> {
  const symbols = [...input.symbols];
  const { throughSession, unitsThrough = throughSession } = input;
  const current = sql`symbol = any(${symbols}) and available_on <= ${throughSession}`;
  const before = sql`symbol = any(${symbols}) and available_on <= ${throughSession} and superseded_on > ${throughSession}`;
  const splits = await sql<ReportedSplit[]>`
    select symbol, ex_date, new_shares, old_shares, asked, confirmed_by from market.splits
    where ${current} or (symbol = any(${symbols}) and ex_date > ${throughSession} and ex_date <= ${unitsThrough})
    union all
    select symbol, ex_date, new_shares, old_shares, asked, confirmed_by from market.split_revisions where ${before}
    order by symbol, ex_date`;
  const dividends = await sql<DividendAction[]>`
    select symbol, ex_date, amount as cash_amount, currency from market.dividends where ${current}
    union all
    select symbol, ex_date, amount, currency from market.dividend_revisions where ${before}
    order by symbol, ex_date`;
  const bySymbol = new Map<string, Actions>();
  const entryOf = (symbol: string): Actions => {
    const entry = bySymbol.get(symbol) ?? { splits: [], dividends: [] };
    bySymbol.set(symbol, entry);
    return entry;
  };
  for (const split of splits) entryOf(split.symbol).splits.push(split);
  for (const dividend of dividends) entryOf(dividend.symbol).dividends.push(dividend);
  return bySymbol;
}

/** Stores statements and snapshots; a record whose content is stored already is not sent. Returns what changed. */
export async function storeFundamentals(
  tx: Tx,
  input: StoreContext & { records: readonly Known<FundamentalRecord>[] },
): Promise<VersionCounts> {
  if (input.records.length === 0) return { added: 0, revised: 0 };
  const symbols = [...new Set(input.records.map(({ fact }) => fact.symbol))];
  const stored = await tx<{ key: string; contentHash: string }[]>`
    select concat_ws(' ', symbol, period_end, kind, provider) as key, content_hash from market.fundamentals
    where symbol = any(${symbols})`;
  const hashes = new Map(stored.map((row) => [row.key, row.contentHash]));
  const rows = input.records
    .map(({ fact, provider, knowledge }) => ({
      symbol: fact.symbol,
      period_end: fact.periodEnd,
      kind: fact.kind,
      provider,
      currency: fact.currency,
      metrics: fact.metrics,
      content_hash: contentHashOf(fact),
      ...knowledge,
    }))
    .filter(
      (row) =>
        hashes.get([row.symbol, row.period_end, row.kind, row.provider].join(' ')) !== row.content_hash,
    );
  const { knownAt, taskRunId } = input;
  return await storeVersions(tx, { into: FUNDAMENTALS, rows, knownAt, taskRunId });
}

export type KnownFundamental = Omit<FundamentalRecord, 'availableAt'> & {
  provider: string;
  /** First session whose night knows this version. */
  availableOn: string;
};

/** Statements and snapshots as the night of `throughSession` knows them, by symbol and period. */
export async function readFundamentals(
  sql: Queryable,
  input: { symbols: readonly string[]; throughSession: string },
): Promise<KnownFundamental[]> {
  const symbols = [...input.symbols];
  const { throughSession } = input;
  return await sql<KnownFundamental[]>`
    select symbol, period_end, kind, provider, currency, metrics, available_on from market.fundamentals
    where symbol = any(${symbols}) and available_on <= ${throughSession}
    union all
    select symbol, period_end, kind, provider, currency, metrics, available_on from market.fundamental_revisions
    where symbol = any(${symbols}) and available_on <= ${throughSession} and superseded_on > ${throughSession}
    order by symbol, period_end, kind, provider`;
}

/** From a session on, a person says, the ticker means this company. */
export async function startInstrument(tx: Tx, input: { symbol: string; validFrom: string }): Promise<void> {
  await tx`
    update market.instruments set valid_from = ${input.validFrom}, recorded_at = now()
    where symbol = ${input.symbol} and valid_from is distinct from ${input.validFrom}::date`;
}

/** A source that stays open gives the same objects each night. */
const knownHashes = new WeakMap<FundamentalRecord, string>();

function contentHashOf(record: FundamentalRecord): string {
  const known = knownHashes.get(record) ?? computeContentHash(record);
  knownHashes.set(record, known);
  return known;
}

function computeContentHash(record: FundamentalRecord): string {
  const { availableAt, currency, metrics } = record;
  const ordered = Object.entries(metrics).sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash('sha256')
    .update(JSON.stringify([availableAt, currency, ordered]))
    .digest('hex');
}
