import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { epochDayOf } from '../../src/domain/bars.ts';

/** `null` is a null in the file. Prices in USD. */
export interface ArchiveRow {
  readonly date: string;
  readonly open: number | null;
  readonly high: number | null;
  readonly low: number | null;
  readonly close: number;
  readonly volume: number;
}

interface ArchiveFolder {
  readonly directory: string;
  readonly dataset: string;
  readonly symbols: Readonly<Record<string, readonly ArchiveRow[]>>;
  readonly splits?: string;
  readonly dividends?: string;
  readonly basisAsOf?: string;
}

/** Writes a folder which the archive provider can read: for tests with small or broken markets. */
export async function writeArchiveFolder(folder: ArchiveFolder): Promise<void> {
  await mkdir(folder.directory, { recursive: true });
  const symbols = Object.keys(folder.symbols).sort();
  const rows = symbols.flatMap((symbol) => (folder.symbols[symbol] ?? []).map((row) => ({ symbol, ...row })));
  const scaled = (value: number | null): number | null =>
    value === null ? null : Math.round(value * 10_000);
  const bars = parquetWriteBuffer({
    columnData: [
      { name: 'symbol', data: rows.map((row) => row.symbol), type: 'STRING', nullable: false },
      { name: 'date', data: rows.map((row) => epochDayOf(row.date)), type: 'INT32', nullable: false },
      { name: 'open', data: rows.map((row) => scaled(row.open)), type: 'INT32' },
      { name: 'high', data: rows.map((row) => scaled(row.high)), type: 'INT32' },
      { name: 'low', data: rows.map((row) => scaled(row.low)), type: 'INT32' },
      { name: 'close', data: rows.map((row) => scaled(row.close) ?? 0), type: 'INT32', nullable: false },
      { name: 'volume', data: rows.map((row) => row.volume), type: 'INT32', nullable: false },
    ],
  });
  const dates = rows.map((row) => row.date).sort();
  const files: Record<string, { content: Uint8Array; rows: number }> = {
    'bars.parquet': { content: new Uint8Array(bars), rows: rows.length },
    'instruments.csv': text(
      `symbol,name,sector,currency,first_session\n${symbols
        .map(
          (symbol) => `${symbol},"${symbol}, Inc.",Energy,USD,${folder.symbols[symbol]?.[0]?.date ?? ''}\n`,
        )
        .join('')}`,
    ),
    ...(folder.splits === undefined ? {} : { 'splits.csv': text(folder.splits) }),
    ...(folder.dividends === undefined ? {} : { 'dividends.csv': text(folder.dividends) }),
  };
  const named: Record<string, { rows: number; bytes: number; sha256: string }> = {};
  for (const [name, { content, rows: count }] of Object.entries(files)) {
    await writeFile(join(folder.directory, name), content);
    const sha256 = createHash('sha256').update(content).digest('hex');
    named[name] = { rows: count, bytes: content.byteLength, sha256 };
  }
  const manifest = {
    schemaVersion: 1,
    dataset: folder.dataset,
    provider: 'archive',
    createdAt: '2026-11-22T00:00:00Z',
    exchange: 'XNYS',
    currency: 'USD',
    priceBasis: { splits: 'adjusted', dividends: 'asTraded', asOf: folder.basisAsOf ?? dates.at(-1) },
    priceScale: 10_000,
    coverage: { firstSession: dates[0], lastSession: dates.at(-1), symbols: symbols.length },
    survivorship: 'unknown',
    instrumentMetadataAsOf: dates.at(-1),
    fundamentalsDelayDays: 90,
    files: named,
  };
  await writeFile(join(folder.directory, 'manifest.json'), JSON.stringify(manifest));
}

function text(content: string): { content: Uint8Array; rows: number } {
  return { content: new TextEncoder().encode(content), rows: content.trim().split('\n').length - 1 };
}
