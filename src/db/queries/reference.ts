import { createHash } from 'node:crypto';
import type {
  CorporateActions,
  DividendAction,
  FundamentalRecord,
  Instrument,
  SplitAction,
} from '../../domain/market-data.ts';
import type { Queryable, Tx } from '../client.ts';
import { jsonb } from '../client.ts';

/** Stores instrument metadata; unchanged rows stay untouched. Returns rows that changed. */
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
    select r.symbol, r.name, r.sector, r.exchange, r.currency, r.valid_from, r.metadata, ${input.provider}
    from jsonb_to_recordset(${tx.json(jsonb(rows))}::jsonb) as r(symbol text, name text, sector text,
      exchange text, currency text, valid_from date, metadata jsonb)
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

/** Stores splits and dividends with their ex dates; unchanged rows stay untouched. Returns rows that changed. */
export async function storeCorporateActions(
  tx: Tx,
  input: { actions: CorporateActions; provider: string },
): Promise<number> {
  const { splits, dividends } = input.actions;
  const splitRows = splits.map((split) => ({
    symbol: split.symbol,
    ex_date: split.exDate,
    new_shares: split.newShares,
    old_shares: split.oldShares,
  }));
  const dividendRows = dividends.map((dividend) => ({
    symbol: dividend.symbol,
    ex_date: dividend.exDate,
    amount: dividend.cashAmount,
    currency: dividend.currency,
  }));
  const changedSplits = await tx`
    insert into market.splits as s (symbol, ex_date, new_shares, old_shares, provider, available_on)
    select r.symbol, r.ex_date, r.new_shares, r.old_shares, ${input.provider}, r.ex_date
    from jsonb_to_recordset(${tx.json(jsonb(splitRows))}::jsonb) as r(symbol text, ex_date date,
      new_shares float8, old_shares float8)
    on conflict (symbol, ex_date) do update set new_shares = excluded.new_shares,
      old_shares = excluded.old_shares, provider = excluded.provider, recorded_at = now()
    where (s.new_shares, s.old_shares) is distinct from (excluded.new_shares, excluded.old_shares)
    returning 1`;
  const changedDividends = await tx`
    insert into market.dividends as d (symbol, ex_date, amount, currency, basis, provider, available_on)
    select r.symbol, r.ex_date, r.amount, r.currency, 'asTraded', ${input.provider}, r.ex_date
    from jsonb_to_recordset(${tx.json(jsonb(dividendRows))}::jsonb) as r(symbol text, ex_date date,
      amount float8, currency text)
    on conflict (symbol, ex_date) do update set amount = excluded.amount, currency = excluded.currency,
      provider = excluded.provider, recorded_at = now()
    where (d.amount, d.currency) is distinct from (excluded.amount, excluded.currency)
    returning 1`;
  return changedSplits.length + changedDividends.length;
}

/** Splits and dividends known at the night of `throughSession`, by symbol. */
export async function readCorporateActions(
  sql: Queryable,
  input: { symbols: readonly string[]; throughSession: string },
): Promise<Map<string, { splits: SplitAction[]; dividends: DividendAction[] }>> {
  const symbols = [...input.symbols];
  const splits = await sql<SplitAction[]>`
    select symbol, ex_date, new_shares, old_shares from market.splits
    where symbol = any(${symbols}) and available_on <= ${input.throughSession} order by symbol, ex_date`;
  const dividends = await sql<DividendAction[]>`
    select symbol, ex_date, amount as cash_amount, currency from market.dividends
    where symbol = any(${symbols}) and available_on <= ${input.throughSession} order by symbol, ex_date`;
  const bySymbol = new Map<string, { splits: SplitAction[]; dividends: DividendAction[] }>();
  const entryOf = (symbol: string): { splits: SplitAction[]; dividends: DividendAction[] } => {
    const entry = bySymbol.get(symbol) ?? { splits: [], dividends: [] };
    bySymbol.set(symbol, entry);
    return entry;
  };
  for (const split of splits) entryOf(split.symbol).splits.push(split);
  for (const dividend of dividends) entryOf(dividend.symbol).dividends.push(dividend);
  return bySymbol;
}

/** Stores statements and snapshots; a record whose content is stored already is not sent. Returns rows that changed. */
export async function storeFundamentals(
  tx: Tx,
  input: { records: readonly FundamentalRecord[]; provider: string },
): Promise<number> {
  if (input.records.length === 0) return 0;
  const symbols = [...new Set(input.records.map((record) => record.symbol))];
  const stored = await tx<{ key: string; contentHash: string }[]>`
    select concat_ws(' ', symbol, period_end, kind) as key, content_hash from market.fundamentals
    where symbol = any(${symbols}) and provider = ${input.provider}`;
  const hashes = new Map(stored.map((row) => [row.key, row.contentHash]));
  const rows = input.records
    .map((record) => ({
      symbol: record.symbol,
      period_end: record.periodEnd,
      kind: record.kind,
      available_on: record.availableAt,
      currency: record.currency,
      metrics: record.metrics,
      content_hash: contentHashOf(record),
    }))
    .filter((row) => hashes.get(`${row.symbol} ${row.period_end} ${row.kind}`) !== row.content_hash);
  if (rows.length === 0) return 0;
  const changed = await tx`
    insert into market.fundamentals as f (symbol, period_end, kind, provider, available_on, currency, metrics,
      content_hash)
    select r.symbol, r.period_end, r.kind, ${input.provider}, r.available_on, r.currency, r.metrics,
      r.content_hash
    from jsonb_to_recordset(${tx.json(jsonb(rows))}::jsonb) as r(symbol text, period_end date, kind text,
      available_on date, currency text, metrics jsonb, content_hash text)
    on conflict (symbol, period_end, kind, provider) do update set available_on = excluded.available_on,
      currency = excluded.currency, metrics = excluded.metrics, content_hash = excluded.content_hash,
      recorded_at = now()
    where f.content_hash is distinct from excluded.content_hash
    returning 1`;
  return changed.length;
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
