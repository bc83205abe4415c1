import { expect, it } from 'vitest';
import type { TrackRow } from '../../db/queries/outcomes.ts';
import { PROBABILITY_NAMES } from '../../db/queries/predictions.ts';
import { withoutClosedQuarters } from './holdout.ts';

const NOTHING = Object.fromEntries(PROBABILITY_NAMES.map((name) => [name, 0.5])) as TrackRow['probabilities'];

function row(sessionDate: string, simulated: boolean): TrackRow {
  return {
    sessionDate,
    symbol: 'AAA',
    modelVersion: 'v1',
    simulated,
    probabilities: NOTHING,
    baseRate: 0.5,
    forwardReturn: 0.01,
    excessReturn: 0,
    targetDirection: 1,
    targetExcess: null,
  };
}

it('the track record shows live predictions of opened quarters only, and all simulated ones', () => {
  const rows = [
    row('2017-09-29', false),
    row('2017-12-28', false),
    row('2017-12-29', true),
    row('2018-01-02', false),
    row('2018-01-03', true),
  ];
  const shown = (known: string[], due: string[]) =>
    withoutClosedQuarters(rows, {
      known: known.map((quarter) => ({ quarter })),
      due: due.map((quarter) => ({ quarter })),
    }).map(({ sessionDate }) => sessionDate);
  expect(shown([], [])).toEqual(['2017-12-29', '2018-01-03']);
  expect(shown(['2017-Q3'], [])).toEqual(['2017-09-29', '2017-12-29', '2018-01-03']);
  expect(shown(['2017-Q3'], ['2017-Q4'])).toEqual(['2017-09-29', '2017-12-28', '2017-12-29', '2018-01-03']);
});
