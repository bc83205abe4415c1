import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkProviderContract } from '../../../tests/support/provider-contract.ts';
import { writeArchiveFolder } from '../../../tests/support/archive-folder.ts';
import { priceBasisKey, sessionDateOf } from '../../domain/bars.ts';
import { ActionRequiredError, BadDataError } from '../errors.ts';
import type { SymbolResult } from '../port.ts';
import { sharedArchive } from '../../../tests/support/sample-archive.ts';
import { createArchiveProvider } from './archive-provider.ts';

const SAMPLE = fileURLToPath(new URL('../../../data/sample', import.meta.url));
const ALL = { from: '2013-02-08', to: '2018-02-07', asOfSession: '2018-02-07' };

function valueOf<Value>(results: readonly SymbolResult<Value>[], symbol: string): Value {
  const result = results.find((candidate) => candidate.symbol === symbol);
  if (result?.ok !== true) throw new Error(`no value for ${symbol}: ${result?.error.message ?? 'not there'}`);
  return result.value;
}

describe('the bundled archive', () => {
  const archive = sharedArchive(SAMPLE);

  it('keeps the contract of the port', async () => {
    await checkProviderContract({
      provider: archive,
      known: 'AAPL',
      unknown: 'NOPE',
      from: '2014-01-02',
      asOfSession: '2014-06-09',
      later: '2014-08-08',
    });
  });

  it('says what it covers', async () => {
    const coverage = await archive.coverage();
    expect(coverage.symbols).toHaveLength(505);
    expect([coverage.firstSession, coverage.lastSession]).toEqual(['2013-02-08', '2018-02-07']);
    expect(priceBasisKey(coverage.basis)).toBe('split-adjusted@2018-02-07');
    expect(coverage.survivorship).toBe('biased');
  });

  it('gives all 619,040 rows, nulls as NaN, prices exact', async () => {
    const { symbols } = await archive.coverage();
    const results = await archive.bars({ symbols: symbols ?? [], ...ALL });
    let rows = 0;
    let nullOpens = 0;
    for (const result of results) {
      if (!result.ok) throw result.error;
      rows += result.value.bars.epochDays.length;
      for (const open of result.value.bars.open) if (Number.isNaN(open)) nullOpens++;
    }
    expect([results.length, rows, nullOpens]).toEqual([505, 619_040, 11]);
    const { bars } = valueOf(results, 'AAPL');
    expect(bars.epochDays).toHaveLength(1_259);
    const row = [...bars.epochDays].findIndex((day) => sessionDateOf(day) === '2017-08-01');
    expect([bars.open[row], bars.high[row], bars.low[row], bars.close[row], bars.volume[row]]).toEqual([
      157.06, 158.92, 156.6701, 158.59, 21_194_042,
    ]);
  });

  it('shows no bar later than the session asked for', async () => {
    const results = await archive.bars({ symbols: ['AAPL', 'GOOG'], ...ALL, asOfSession: '2014-03-26' });
    const { bars } = valueOf(results, 'AAPL');
    expect(sessionDateOf(bars.epochDays.at(-1) ?? 0)).toBe('2014-03-26');
    expect(results[1]).toMatchObject({ ok: false, symbol: 'GOOG', error: { code: 'notFound' } });
    const dayLater = await archive.bars({ symbols: ['GOOG'], ...ALL, asOfSession: '2014-03-27' });
    expect(valueOf(dayLater, 'GOOG').bars.close).toEqual(Float64Array.of(558.46));
  });

  it('answers per symbol, in the order of the request, and reports progress', async () => {
    const progress: number[] = [];
    const results = await archive.bars({
      symbols: ['ZTS', 'NOPE', 'A'],
      from: '2018-02-06',
      to: '2018-02-20',
      asOfSession: '2018-02-07',
      onProgress: ({ done }) => progress.push(done),
    });
    expect(results.map((result) => [result.symbol, result.ok])).toEqual([
      ['ZTS', true],
      ['NOPE', false],
      ['A', true],
    ]);
    expect(valueOf(results, 'A').bars.epochDays).toHaveLength(2);
    expect(progress).toEqual([1, 2, 3]);
  });

  it('gives no rows, and no error, where a known symbol has none', async () => {
    const range = { from: '2018-02-08', to: '2018-02-20', asOfSession: '2018-02-20' };
    const results = await archive.bars({ symbols: ['A'], ...range });
    expect(valueOf(results, 'A').bars.epochDays).toHaveLength(0);
  });

  it('shows splits and dividends from their ex date on', async () => {
    const ask = async (asOfSession: string) =>
      valueOf(await archive.corporateActions({ symbols: ['AAPL'], ...ALL, asOfSession }), 'AAPL');
    expect((await ask('2014-06-06')).splits).toEqual([]);
    expect((await ask('2014-06-09')).splits).toEqual([
      { symbol: 'AAPL', exDate: '2014-06-09', newShares: 7, oldShares: 1 },
    ]);
    expect((await ask('2013-05-08')).dividends).toEqual([]);
    expect((await ask('2013-05-09')).dividends).toEqual([
      { symbol: 'AAPL', exDate: '2013-05-09', cashAmount: 3.05, currency: 'USD' },
    ]);
  });

  it('keeps actions of other companies and classes out', async () => {
    const { symbols } = await archive.coverage();
    const results = await archive.corporateActions({ symbols: symbols ?? [], ...ALL });
    const owners = results.filter(
      (result) => result.ok && result.value.splits.length + result.value.dividends.length > 0,
    );
    expect(owners.map((result) => result.symbol)).toEqual([
      'AAPL',
      'AIG',
      'BAC',
      'FOXA',
      'GOOG',
      'GOOGL',
      'IBM',
      'NWSA',
      'TWX',
      'WM',
    ]);
    // Before 2015 the ticker NWSA's payer was what is FOXA today; the spin-off of 2013-07-01 is in no bar.
    expect(valueOf(results, 'NWSA').dividends[0]?.exDate).toBe('2015-09-14');
    expect(valueOf(results, 'FOXA').dividends[0]?.exDate).toBe('2013-09-09');
    expect(valueOf(results, 'GOOG').splits).toEqual([
      { symbol: 'GOOG', exDate: '2015-04-27', newShares: 10_027, oldShares: 10_000 },
    ]);
  });

  it('shows statements 90 days after the period and snapshots on their day', async () => {
    const ask = async (asOfSession: string) =>
      valueOf(await archive.fundamentals({ symbols: ['AAPL'], asOfSession }), 'AAPL');
    const before = await ask('2013-12-26');
    const after = await ask('2013-12-27');
    expect(before.map((record) => record.periodEnd)).toEqual([]);
    expect(after.map((record) => [record.periodEnd, record.availableAt])).toEqual([
      ['2013-09-28', '2013-12-27'],
    ]);
    expect(after[0]?.metrics['totalRevenue']).toBe(171_000_000_000);
    const kinds = (records: typeof before) => records.filter((record) => record.kind === 'snapshot').length;
    expect([
      kinds(await ask('2017-03-07')),
      kinds(await ask('2017-03-08')),
      kinds(await ask('2018-02-07')),
    ]).toEqual([0, 1, 1]);
    const snapshot = (await ask('2018-02-08')).at(-1);
    expect(snapshot?.metrics).toMatchObject({ price: 155.15, low52Weeks: 131.12, high52Weeks: 180.1 });
  });

  it('names instruments that are listed by then', async () => {
    const results = await archive.instruments({ symbols: ['PYPL', 'BRK.B'], asOfSession: '2014-01-02' });
    expect(results[0]).toMatchObject({ ok: false, error: { code: 'notFound', disposition: 'notRetryable' } });
    expect(valueOf(results, 'BRK.B')).toEqual({
      symbol: 'BRK.B',
      name: 'Berkshire Hathaway',
      sector: 'Financials',
      exchange: 'XNYS',
      currency: 'USD',
      firstSession: '2013-02-08',
      metadataAsOf: '2018-02-08',
    });
  });

  it('stops when asked to', async () => {
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(archive.bars({ symbols: ['A'], ...ALL, signal })).rejects.toThrow('enough');
  });
});

describe('an archive that is not right', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'nightshift-archive-'));
  });
  afterAll(async () => rm(folder, { recursive: true, force: true }));

  const row = (date: string) => ({ date, open: 10, high: 11, low: 9, close: 10.5, volume: 100 });
  const write = async (name: string) => {
    const directory = join(folder, name);
    await writeArchiveFolder({ directory, dataset: name, symbols: { X: [row('2015-01-02')] } });
    return directory;
  };
  const bars = async (directory: string) =>
    createArchiveProvider({ directory }).bars({
      symbols: ['X'],
      from: '2015-01-01',
      to: '2015-02-01',
      asOfSession: '2015-02-01',
    });

  it('needs a person when the folder or a file is missing', async () => {
    await expect(bars(join(folder, 'nowhere'))).rejects.toThrow(ActionRequiredError);
    const directory = await write('missing-bars');
    await rm(join(directory, 'bars.parquet'));
    await expect(bars(directory)).rejects.toMatchObject({ disposition: 'needsPerson' });
  });

  it('recovers once the folder is repaired', async () => {
    const directory = await write('repaired');
    const content = await readFile(join(directory, 'bars.parquet'));
    await rm(join(directory, 'bars.parquet'));
    const archive = createArchiveProvider({ directory });
    const request = { symbols: ['X'], from: '2015-01-01', to: '2015-02-01', asOfSession: '2015-02-01' };
    await expect(archive.bars(request)).rejects.toThrow(ActionRequiredError);
    await writeFile(join(directory, 'bars.parquet'), content);
    expect(valueOf(await archive.bars(request), 'X').bars.close).toEqual(Float64Array.of(10.5));
  });

  it('calls a damaged file bad data', async () => {
    const directory = await write('damaged');
    const path = join(directory, 'bars.parquet');
    const content = await readFile(path);
    content[20] = (content[20] ?? 0) ^ 0xff;
    await writeFile(path, content);
    await expect(bars(directory)).rejects.toThrow(/checksum/);
  });

  it('calls a manifest it does not understand bad data', async () => {
    const directory = await write('manifest');
    const path = join(directory, 'manifest.json');
    const manifest = JSON.parse(await readFile(path, 'utf8'));
    await writeFile(path, JSON.stringify({ ...manifest, surprise: true }));
    await expect(bars(directory)).rejects.toThrow(BadDataError);
    await writeFile(path, 'not json');
    await expect(bars(directory)).rejects.toThrow(/not JSON/);
  });

  it('calls rows out of order bad data, and keeps duplicates for the validation', async () => {
    const twice = join(folder, 'twice');
    const order = join(folder, 'order');
    await writeArchiveFolder({
      directory: twice,
      dataset: 'twice',
      symbols: { X: [row('2015-01-02'), row('2015-01-02')] },
    });
    expect(valueOf(await bars(twice), 'X').bars.epochDays).toHaveLength(2);
    await writeArchiveFolder({
      directory: order,
      dataset: 'order',
      symbols: { X: [row('2015-01-05'), row('2015-01-02')] },
    });
    await expect(bars(order)).rejects.toThrow(/not by date/);
  });

  it('names the line of a table it cannot read', async () => {
    const directory = join(folder, 'splits');
    await writeArchiveFolder({
      directory,
      dataset: 'splits',
      symbols: { X: [row('2015-01-02')] },
      splits: 'symbol,ex_date,new_shares,old_shares\nX,2015-01-05,0,1\n',
    });
    const archive = createArchiveProvider({ directory });
    const range = { from: '2015-01-01', to: '2015-02-01', asOfSession: '2015-02-01' };
    await expect(archive.corporateActions({ symbols: ['X'], ...range })).rejects.toThrow(
      /splits.csv.*line 2/s,
    );
  });

  it('works from any copy of the folder', async () => {
    const copy = join(folder, 'copy');
    await cp(SAMPLE, copy, { recursive: true });
    const archive = createArchiveProvider({ directory: copy, id: 'second' });
    const [result] = await archive.bars({ symbols: ['IBM'], ...ALL });
    expect(result).toMatchObject({
      ok: true,
      provenance: { provider: 'second', dataset: 'sp500-daily-2013-2018', fetchedAt: '2026-11-22T00:00:00Z' },
    });
  });
});
