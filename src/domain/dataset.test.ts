import { describe, expect, it } from 'vitest';
import { assembleDataset, manifestBytes, type DatasetInput } from './dataset.ts';
import { computeFeatures } from './features/panel.ts';
import { FEATURES, featureSetVersion } from './features/registry.ts';
import { computeLabels } from './labels.ts';
import { planWalkForward } from './splitter.ts';
import { realBars } from './testdata/series.ts';

const real = realBars();
const { sessions, symbols, close } = real;

function fresh(): DatasetInput {
  return {
    sessions,
    symbols,
    close,
    features: computeFeatures(real),
    labels: computeLabels({ ...real, horizonSessions: 2 }),
    labelKind: 'excess',
    plan: planWalkForward({ sessions, horizonSessions: 2, minTrainSessions: 200 }),
    universe: 'sample',
    universeVersion: 'members-v1',
    featureSetVersion: featureSetVersion(),
  };
}

const whole = fresh();
const dataset = assembleDataset(whole);
const withPart = (part: Partial<DatasetInput>) => assembleDataset({ ...whole, ...part });
const column = (name: string) => dataset.columns.find((candidate) => candidate.name === name)!.values;

describe('the dataset', () => {
  it('has one row per session and member with a bar, by session, then symbol', () => {
    const [sessionIndex, symbolIndex] = [column('sessionIndex'), column('symbolIndex')];
    const bars = close.reduce((sum, row) => sum + row.filter((x) => !Number.isNaN(x)).length, 0);
    expect(dataset.manifest.rows).toBe(bars);
    for (let row = 1; row < bars; row += 1) {
      const step =
        (sessionIndex[row]! - sessionIndex[row - 1]!) * 1000 + symbolIndex[row]! - symbolIndex[row - 1]!;
      if (!(step > 0)) throw new Error(`row ${String(row)} is out of order`);
      if (Number.isNaN(close[symbolIndex[row]!]![sessionIndex[row]!]!))
        throw new Error('a row without a bar');
    }
    const { rowStartBySession } = dataset.manifest;
    expect(rowStartBySession.length).toBe(sessions.length + 1);
    expect(rowStartBySession.at(-1)).toBe(bars);
    expect(sessionIndex[rowStartBySession[100]!]).toBe(100);
    expect(sessionIndex[rowStartBySession[100]! - 1]).toBe(99);
  });

  it('has the columns of the contract, with the values of their sources', () => {
    expect(dataset.columns.map(({ name }) => name)).toEqual([
      'sessionIndex',
      'symbolIndex',
      ...FEATURES.map(({ name }) => name),
      'target',
      'targetDirection',
      'targetExcess',
      'forwardReturn',
      'excessReturn',
    ]);
    const row = 5000;
    const position = column('sessionIndex')[row]! * symbols.length + column('symbolIndex')[row]!;
    const ret5 = whole.features.names.indexOf('ret5');
    expect(column('ret5')[row]).toBe(whole.features.values[ret5]![position]);
    expect(column('forwardReturn')[row]).toBe(whole.labels.forwardReturn[position]);
    expect(column('ret5')).toBeInstanceOf(Float32Array);
    expect(column('target')).toEqual(column('targetExcess'));
    expect(column('target')).toBeInstanceOf(Float64Array);
  });

  it('ends with sessions that have features and no target', () => {
    const start = dataset.manifest.rowStartBySession[sessions.length - 2]!;
    expect(column('target').subarray(start).every(Number.isNaN)).toBe(true);
    expect(column('ret1').subarray(start).every(Number.isFinite)).toBe(true);
  });

  it('trains on the other target when told to', () => {
    const other = withPart({ labelKind: 'direction' });
    const target = other.columns.find(({ name }) => name === 'target')!.values;
    expect(target).toEqual(column('targetDirection'));
    expect(other.manifest.labelKind).toBe('direction');
  });

  it('is the same from the same input, manifest bytes included', () => {
    const again = assembleDataset(fresh());
    expect(again.manifest).toEqual(dataset.manifest);
    for (const [c, { name, values }] of dataset.columns.entries()) {
      const other = again.columns[c]!;
      expect(other.name).toBe(name);
      expect(
        other.values.every((x, i) => Object.is(x, values[i])),
        name,
      ).toBe(true);
    }
    expect(manifestBytes(again.manifest, 'a'.repeat(64))).toEqual(
      manifestBytes(dataset.manifest, 'a'.repeat(64)),
    );
  });

  it('refuses parts that do not fit', () => {
    expect(() => withPart({ symbols: [...symbols].reverse() })).toThrow(/ascend/);
    expect(() => withPart({ close: close.slice(1) })).toThrow(/close/);
    const shorter = planWalkForward({
      sessions: sessions.slice(1),
      horizonSessions: 2,
      minTrainSessions: 200,
    });
    expect(() => withPart({ plan: shorter })).toThrow(/plan/);
    const { names, ...matrix } = whole.features;
    const renamed = { ...matrix, names: ['target', ...names.slice(1)] };
    expect(() => withPart({ features: renamed })).toThrow(/name of another column/);
  });
});
