import { parquetReadObjects } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { z } from 'zod';
import { epochDayOf, sessionDateOf } from '../../domain/bars.ts';
import type {
  DividendAction,
  FundamentalKind,
  FundamentalRecord,
  Instrument,
  SplitAction,
} from '../../domain/market-data.ts';
import { BadDataError } from '../errors.ts';
import { parseCsv } from './csv.ts';
import { ARCHIVE_FILES, type ArchiveManifest } from './manifest.ts';

interface FileInput {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly manifest: ArchiveManifest;
  readonly provider: string;
}

const isoDate = z.iso.date();
const positive = z.coerce.number().positive();

const instrumentRow = z.object({
  symbol: z.string().min(1),
  name: z.string().min(1),
  sector: z.string().min(1),
  currency: z.string().length(3),
  first_session: isoDate,
});
const splitRow = z.object({
  symbol: z.string().min(1),
  ex_date: isoDate,
  new_shares: positive,
  old_shares: positive,
});
const dividendRow = z.object({ symbol: z.string().min(1), ex_date: isoDate, cash_amount: positive });

/** `instruments.csv` by symbol. */
export function readInstruments(input: FileInput): ReadonlyMap<string, Instrument> {
  const rows = readRows(input, ARCHIVE_FILES.instruments, instrumentRow);
  return new Map(
    rows.map((row) => [
      row.symbol,
      {
        symbol: row.symbol,
        name: row.name,
        sector: row.sector,
        exchange: input.manifest.exchange,
        currency: row.currency,
        firstSession: row.first_session,
        metadataAsOf: input.manifest.instrumentMetadataAsOf,
      },
    ]),
  );
}

/** `splits.csv` by symbol, by ex date. */
export function readSplits(input: FileInput): ReadonlyMap<string, readonly SplitAction[]> {
  const rows = readRows(input, ARCHIVE_FILES.splits, splitRow).map((row) => ({
    symbol: row.symbol,
    exDate: row.ex_date,
    newShares: row.new_shares,
    oldShares: row.old_shares,
  }));
  return bySymbol(rows, (row) => row.exDate);
}

/** `dividends.csv` by symbol, by ex date. */
export function readDividends(input: FileInput): ReadonlyMap<string, readonly DividendAction[]> {
  const rows = readRows(input, ARCHIVE_FILES.dividends, dividendRow).map((row) => ({
    symbol: row.symbol,
    exDate: row.ex_date,
    cashAmount: row.cash_amount,
    currency: input.manifest.currency,
  }));
  return bySymbol(rows, (row) => row.exDate);
}

/**
 * A fundamentals file by symbol, by availability. Statements have no filing date in the source and
 * become available `fundamentalsDelayDays` after the period's end, snapshots on their own day.
 */
export async function readFundamentals(
  input: FileInput & { readonly kind: FundamentalKind },
): Promise<ReadonlyMap<string, readonly FundamentalRecord[]>> {
  const { bytes, manifest, provider, kind } = input;
  const dateColumn = kind === 'annual' ? 'periodEnd' : 'asOf';
  const delayDays = kind === 'annual' ? manifest.fundamentalsDelayDays : 0;
  try {
    const rows = await parquetReadObjects({
      file: bytes.slice().buffer,
      compressors,
      parsers: { dateFromDays: (days: number) => days },
    });
    const records = rows.map((row): FundamentalRecord => {
      const symbol = z.string().min(1).parse(row['symbol']);
      const day = z.int().parse(row[dateColumn]);
      const metrics: Record<string, number | null> = {};
      for (const [name, value] of Object.entries(row)) {
        if (name === 'symbol' || name === dateColumn) continue;
        metrics[name] = typeof value === 'number' && Number.isFinite(value) ? value : null;
      }
      return {
        symbol,
        kind,
        periodEnd: sessionDateOf(day),
        availableAt: sessionDateOf(day + delayDays),
        currency: manifest.currency,
        metrics,
      };
    });
    return bySymbol(records, (record) => record.availableAt);
  } catch (cause) {
    throw unreadable(kind === 'annual' ? ARCHIVE_FILES.annual : ARCHIVE_FILES.snapshots, provider, cause);
  }
}

function readRows<Shape extends z.ZodRawShape>(
  input: FileInput,
  name: string,
  schema: z.ZodObject<Shape>,
): z.infer<z.ZodObject<Shape>>[] {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(input.bytes);
    return parseCsv(text, Object.keys(schema.shape)).map((row, index) => {
      const parsed = schema.safeParse(row);
      if (!parsed.success) throw new Error(`line ${index + 2}: ${z.prettifyError(parsed.error)}`);
      return parsed.data;
    });
  } catch (cause) {
    throw unreadable(name, input.provider, cause);
  }
}

function unreadable(name: string, provider: string, cause: unknown): BadDataError {
  const message = cause instanceof Error ? cause.message : String(cause);
  return new BadDataError(`${name} cannot be read: ${message}`, { provider, cause });
}

function bySymbol<Row extends { readonly symbol: string }>(
  rows: readonly Row[],
  dateOf: (row: Row) => string,
): ReadonlyMap<string, readonly Row[]> {
  const groups = new Map<string, Row[]>();
  for (const row of [...rows].sort((a, b) => epochDayOf(dateOf(a)) - epochDayOf(dateOf(b)))) {
    const group = groups.get(row.symbol);
    if (group === undefined) groups.set(row.symbol, [row]);
    else group.push(row);
  }
  return groups;
}
