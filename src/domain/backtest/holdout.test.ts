import { describe, expect, it } from 'vitest';
import { evaluatePredictions } from '../metrics/evaluate.ts';
import { syntheticMarket } from '../testdata/synthetic-market.ts';
import {
  datesOfQuarter,
  evaluateHoldout,
  type HoldoutRows,
  holdoutWords,
  quarterOf,
  quarterStates,
} from './holdout.ts';

describe('quarters', () => {
  it('are those of the calendar, whatever the session', () => {
    expect(['2017-01-03', '2017-03-31', '2017-04-03', '2017-09-29', '2017-12-29'].map(quarterOf)).toEqual([
      '2017-Q1',
      '2017-Q1',
      '2017-Q2',
      '2017-Q3',
      '2017-Q4',
    ]);
    expect(['2017-Q1', '2017-Q2', '2017-Q3', '2017-Q4'].map(datesOfQuarter)).toEqual([
      { first: '2017-01-01', last: '2017-03-31' },
      { first: '2017-04-01', last: '2017-06-30' },
      { first: '2017-07-01', last: '2017-09-30' },
      { first: '2017-10-01', last: '2017-12-31' },
    ]);
    for (const quarter of ['2016-Q4', '2017-Q2']) {
      const { first, last } = datesOfQuarter(quarter);
      expect([quarterOf(first), quarterOf(last)]).toEqual([quarter, quarter]);
    }
  });
});

describe('quarterStates', () => {
  const full = (sessionDate: string) => ({ sessionDate, predictions: 8, settled: 8 });
  const waiting = (sessionDate: string) => ({ sessionDate, predictions: 8, settled: 5 });
  const issued = [full('2017-09-28'), full('2017-09-29'), full('2017-12-28'), full('2018-01-02')];

  it('the running quarter stays closed, however many outcomes it has', () => {
    expect(quarterStates({ issued, opened: [], sessionDate: '2018-01-03' })).toEqual({
      due: ['2017-Q3', '2017-Q4'],
      closed: [{ quarter: '2018-Q1', sessions: 1, predictions: 8, why: 'the quarter is not over' }],
    });
  });

  it('one that was opened is neither due nor closed', () => {
    const { due, closed } = quarterStates({ issued, opened: ['2017-Q4'], sessionDate: '2018-01-03' });
    expect(due).toEqual(['2017-Q3']);
    expect(closed.map(({ quarter }) => quarter)).toEqual(['2018-Q1']);
  });

  it('waits for the last outcome', () => {
    const late = [...issued, waiting('2017-12-29')];
    expect(quarterStates({ issued: late, opened: ['2017-Q3'], sessionDate: '2018-01-02' })).toEqual({
      due: [],
      closed: [
        { quarter: '2017-Q4', sessions: 2, predictions: 16, why: '3 predictions wait for their outcome' },
        { quarter: '2018-Q1', sessions: 1, predictions: 8, why: 'the quarter is not over' },
      ],
    });
  });

  it('a night of the past opens nothing that is not past for it', () => {
    expect(quarterStates({ issued, opened: [], sessionDate: '2017-12-15' })).toMatchObject({
      due: ['2017-Q3'],
      closed: [{ quarter: '2017-Q4' }],
    });
    expect(quarterStates({ issued, opened: [], sessionDate: '2017-09-29' }).due).toEqual([]);
  });

  it('without live predictions there is no quarter', () => {
    expect(quarterStates({ issued: [], opened: [], sessionDate: '2018-01-03' })).toEqual({
      due: [],
      closed: [],
    });
  });
});

function rowsOf(signal: number): HoldoutRows {
  const { panel, models } = syntheticMarket({ seed: 7, sessions: 63, symbols: 40, models: 2, signal });
  const none = new Float64Array();
  return { panel, meta: models['model0'] ?? none, meanLogit: models['model1'] ?? none };
}

const OPTIONS = { horizonSessions: 1, replicates: 300, seed: 1 };

describe('evaluateHoldout', () => {
  it('a stack that knows something has an edge over the base rate and the mean of its models', () => {
    const rows = rowsOf(0.5);
    const found = evaluateHoldout(rows, OPTIONS);
    const metrics = evaluatePredictions(rows.panel, rows.meta, OPTIONS);
    expect(found).toMatchObject({ verdict: 'edge', icSessions: 63, logLoss: metrics.logLoss.value });
    expect(found.ic).toEqual({ value: metrics.ic.value, low: metrics.ic.low, high: metrics.ic.high });
    expect(found.baseRateLogLoss).toBeCloseTo(Math.LN2, 12);
    expect(found.logLossGain.value).toBeCloseTo(Math.LN2 - (found.logLoss ?? 0), 12);
    expect(found.gainOverMeanLogit.low).toBeGreaterThan(0);
    expect(found.verdictInWords).toMatch(/^Edge: the IC is 0\.\d+ \(95 % interval/);
  });

  it('one that knows nothing has none', () => {
    const found = evaluateHoldout(rowsOf(0), OPTIONS);
    expect(found.verdict).toBe('no_edge');
    expect(found.verdictInWords).toMatch(/^No edge, because /);
  });

  it('predictions without an outcome do not count, and few sessions have no interval', () => {
    const rows = rowsOf(0.5);
    const cut = rows.panel.session.map((session) => Number(session >= 8));
    const hide = (column: Float64Array) => column.map((value, row) => (cut[row] === 1 ? Number.NaN : value));
    const panel = {
      ...rows.panel,
      target: hide(rows.panel.target),
      forwardReturn: hide(rows.panel.forwardReturn),
    };
    const found = evaluateHoldout({ ...rows, panel }, OPTIONS);
    expect(found).toMatchObject({ icSessions: 8, verdict: 'no_edge', ic: { low: null, high: null } });
    expect(found.verdictInWords).toContain('too few sessions for an interval of the IC');
  });

  it('is plain JSON and the same every time', () => {
    const found = evaluateHoldout(rowsOf(0.2), OPTIONS);
    expect(JSON.parse(JSON.stringify(found))).toEqual(found);
    expect(evaluateHoldout(rowsOf(0.2), OPTIONS)).toEqual(found);
  });
});

it('one sentence says when, on what and after how many trials', () => {
  const words = holdoutWords({
    quarter: '2017-Q4',
    sessions: 61,
    calendarSessions: 63,
    predictions: 30_805,
    withoutOutcome: 12,
    trials: 40,
    openedSession: '2018-01-02',
    verdictInWords: 'No edge.',
  });
  expect(words).toBe(
    'Holdout 2017-Q4, opened once by the night of 2018-01-02: 30,805 predictions (12 without an outcome) issued ' +
      'before their outcome on 61 of 63 sessions; 40 trials were counted by then. No edge.',
  );
});
