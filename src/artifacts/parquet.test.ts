import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { datasetManifestSchema } from '../contracts/schemas/ml.ts';
import { assembleDataset, manifestBytes } from '../domain/dataset.ts';
import { computeFeatures } from '../domain/features/panel.ts';
import { featureSetVersion } from '../domain/features/registry.ts';
import { computeLabels } from '../domain/labels.ts';
import { planWalkForward } from '../domain/splitter.ts';
import { realBars } from '../domain/testdata/series.ts';
import { readParquet, writeParquet, type ColumnValues, type ParquetColumn } from './parquet.ts';

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Throws with the first difference; much faster on long columns than `toEqual`. */
function expectSame(actual: ReadonlyMap<string, ColumnValues>, expected: readonly ParquetColumn[]): void {
  expect([...actual.keys()]).toEqual(expected.map(({ name }) => name));
  for (const { name, values } of expected) {
    const read = actual.get(name)!;
    expect(read.constructor, name).toBe(values.constructor);
    expect(read.length, name).toBe(values.length);
    const odd = values.findIndex((value: unknown, i: number) => !Object.is(value, read[i]));
    if (odd >= 0) throw new Error(`${name} differs in row ${String(odd)}`);
  }
}

const rows = 70_000;
const columns: ParquetColumn[] = [
  { name: 'index', values: Int32Array.from({ length: rows }, (_, i) => i - 5) },
  {
    name: 'single',
    values: Float32Array.from({ length: rows }, (_, i) => (i % 7 === 0 ? Number.NaN : i / 3)),
  },
  {
    name: 'double',
    values: Float64Array.from({ length: rows }, (_, i) => (i % 5 === 0 ? Number.NaN : i / 3)),
  },
  {
    name: 'text',
    values: Array.from({ length: rows }, (_, i) => (i % 3 === 0 ? null : `s${String(i % 11)}`)),
  },
];

describe('Parquet files', () => {
  it('give back what was written, over several row groups', async () => {
    const table = await readParquet(await writeParquet(columns));
    expect(table.rows).toBe(rows);
    expectSame(table.columns, columns);
  });

  it('are read by column', async () => {
    const table = await readParquet(await writeParquet(columns), { columns: ['double'] });
    expect([...table.columns.keys()]).toEqual(['double']);
  });

  it('have the same bytes for the same values, whatever bits a NaN has', async () => {
    const bits = new Uint32Array([0x7fc00000, 0xffc00000, 0x7fc00001, 0x3f800000]);
    const odd = new Float32Array(bits.buffer);
    const plain = Float32Array.of(Number.NaN, Number.NaN, Number.NaN, 1);
    const doubleBits = new BigUint64Array([0xfff8000000000000n, 0x7ff8000000000001n, 0n, 0n]);
    const oddDoubles = new Float64Array(doubleBits.buffer);
    const plainDoubles = Float64Array.of(Number.NaN, Number.NaN, 0, 0);
    const first = await writeParquet([
      { name: 'a', values: odd },
      { name: 'b', values: oddDoubles },
    ]);
    const second = await writeParquet([
      { name: 'a', values: plain },
      { name: 'b', values: plainDoubles },
    ]);
    expect(sha256(first)).toBe(sha256(second));
    expect(sha256(await writeParquet(columns))).toBe(sha256(await writeParquet(columns)));
  });

  it('may be empty of rows, but not of columns', async () => {
    const empty = await readParquet(await writeParquet([{ name: 'a', values: new Float32Array(0) }]));
    expect(empty.rows).toBe(0);
    expect(empty.columns.get('a')).toEqual(new Float32Array(0));
    await expect(writeParquet([])).rejects.toThrow(/at least one/);
    await expect(
      writeParquet([
        { name: 'a', values: new Float32Array(1) },
        { name: 'b', values: new Float32Array(2) },
      ]),
    ).rejects.toThrow(/b has 2 rows/);
    await expect(
      writeParquet([
        { name: 'a', values: new Float32Array(1) },
        { name: 'a', values: new Float32Array(1) },
      ]),
    ).rejects.toThrow(/same name/);
  });

  it('come from the Python worker too: zstd, nulls, wide integers', async () => {
    const bytes = readFileSync(new URL('./testdata/polars.parquet', import.meta.url));
    const names = ['sessionIndex', 'count', 'feature', 'probability', 'up', 'symbol'];
    const { columns: read } = await readParquet(bytes, { columns: names });
    expect(Object.fromEntries(read)).toEqual({
      sessionIndex: Int32Array.of(1, 1, 2),
      count: Float64Array.of(1, 2 ** 40, -3),
      feature: Float32Array.of(0.5, Number.NaN, Number.NaN),
      probability: Float64Array.of(0.1, 0.2, Number.NaN),
      up: Int32Array.of(1, 0, 1),
      symbol: ['AAPL', null, 'BRK.B'],
    });
    await expect(readParquet(bytes, { columns: ['nothing'] })).rejects.toThrow(/no column nothing/);
    await expect(readParquet(bytes, { columns: ['gap'] })).rejects.toThrow(/gap has a null at row 1/);
    await expect(readParquet(bytes, { columns: ['day'] })).rejects.toThrow(/day is INT32 \(DATE\)/);
    await expect(readParquet(new Uint8Array(20))).rejects.toThrow();
  });
});

describe('a dataset of real bars', () => {
  const { sessions, symbols, open, high, low, close, volume } = realBars();
  const dataset = assembleDataset({
    sessions,
    symbols,
    close,
    features: computeFeatures({ sessions, symbols, open, high, low, close, volume }),
    labels: computeLabels({ sessions, symbols, open, close, horizonSessions: 5 }),
    labelKind: 'excess',
    plan: planWalkForward({ sessions, horizonSessions: 5, minTrainSessions: 200 }),
    universe: 'sample',
    universeVersion: 'v1',
    featureSetVersion: featureSetVersion(),
  });

  it('goes through Parquet unchanged, and its manifest fits the contract', async () => {
    const bytes = await writeParquet(dataset.columns);
    const table = await readParquet(bytes);
    expectSame(table.columns, dataset.columns);
    const text = new TextDecoder().decode(manifestBytes(dataset.manifest, sha256(bytes)));
    const manifest = datasetManifestSchema.parse(JSON.parse(text));
    expect(manifest).toEqual({ ...dataset.manifest, parquetHash: sha256(bytes) });
    expect(manifest.rows).toBe(table.rows);
  });
});
