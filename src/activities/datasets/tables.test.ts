import { describe, expect, it } from 'vitest';
import { writeParquet } from '../../artifacts/parquet.ts';
import { readScoreTable, SCORED } from './tables.ts';

const half = new Float64Array([0.25, 0.75]);
const columnsOf = (names: readonly string[]) => [
  { name: 'symbolIndex', values: Int32Array.of(3, 5) },
  ...names.map((name) => ({ name: `p_${name}`, values: half })),
  { name: 'metaLogit', values: half },
  { name: 'baseRate', values: half },
];

describe('readScoreTable', () => {
  it('reads every model by name', async () => {
    const table = await readScoreTable(await writeParquet(columnsOf(SCORED)));
    expect(table.symbol).toEqual(Int32Array.of(3, 5));
    expect(Object.keys(table.probabilities)).toEqual([...SCORED]);
    expect(table.probabilities.mlp).toEqual(half);
  });

  it('takes a model that the version did not have yet as unknown, but needs the stack', async () => {
    const older = SCORED.filter((name) => name !== 'mlp');
    const table = await readScoreTable(await writeParquet(columnsOf(older)));
    expect(table.probabilities.mlp).toEqual(new Float64Array([Number.NaN, Number.NaN]));
    const broken = await writeParquet(columnsOf(SCORED.filter((name) => name !== 'meta')));
    await expect(readScoreTable(broken)).rejects.toThrow(/p_meta/);
  });
});
