import { describe, expect, it } from 'vitest';
import { bucketsOf, calibrationOf, equitySpec, saidBy } from './backtest-tables.ts';

const metric = (bucket: string, name: string, value: number | null, model = 'meta') => ({
  model,
  dimension: 'decile',
  bucket,
  metric: name,
  value,
  lower: value === null ? null : value - 0.1,
  upper: value === null ? null : value + 0.1,
  n: 10,
});
const ROWS = [
  metric('10', 'meanProbability', 0.7),
  metric('10', 'realisedRate', 0.6),
  metric('2', 'meanProbability', 0.3),
  metric('2', 'realisedRate', 0.4),
  metric('3', 'meanProbability', 0.5),
  metric('3', 'realisedRate', null),
  metric('2', 'meanProbability', 0.9, 'lightgbm'),
];

describe('tables of a backtest', () => {
  it('are of one model and dimension', () => {
    const buckets = bucketsOf(ROWS, { model: 'meta', dimension: 'decile' });
    expect([...buckets.keys()]).toEqual(['10', '2', '3']);
    expect(buckets.get('2')?.get('meanProbability')?.value).toBe(0.3);
    expect(bucketsOf(ROWS, { model: 'meta', dimension: 'month' }).size).toBe(0);
  });

  it('make a curve by rising probability, without deciles that have no outcome', () => {
    expect(calibrationOf(ROWS, 'meta').map(({ x, y }) => [x, y])).toEqual([
      [0.3, 0.4],
      [0.7, 0.6],
    ]);
  });

  it('lay equity curves over all sessions, those to see first', () => {
    const point = (series: string, sessionDate: string, equityNet: number) => ({
      series,
      sessionDate,
      equityNet,
    });
    const spec = equitySpec(
      [point('mlp', '2018-02-02', 1.2), point('meta', '2018-02-01', 1), point('meta', '2018-02-02', 1.1)],
      ['meta'],
    );
    expect(spec.sessions).toEqual(['2018-02-01', '2018-02-02']);
    expect(spec.series).toEqual([
      { label: 'meta', values: [1, 1.1], hidden: false },
      { label: 'mlp', values: [null, 1.2], hidden: true },
    ]);
  });
});

it('says what a backtest says about itself, and nothing where it says nothing', () => {
  expect(saidBy({ overfitting: { words: 'chance 0.5', probability: 0.5 }, notes: ['a note'] })).toEqual([
    'chance 0.5',
    'a note',
  ]);
  expect([saidBy({ overfitting: null }), saidBy(null)]).toEqual([[], []]);
});
