import { describe, expect, it } from 'vitest';
import { runReportSchema } from '../../contracts/schemas/report.ts';
import { liveBlock } from './progress.ts';

const task = {
  attempts: 1,
  startedAt: null,
  completedAt: null,
  durationMs: null,
  reason: null,
  result: null,
};
const report = runReportSchema.parse({
  schemaVersion: 1,
  sessionDate: '2018-02-07',
  universe: 'tiny',
  universeVersion: 'u1',
  status: 'running',
  reason: null,
  workflowId: 'nightly/newest/tiny',
  runId: 'r1',
  startedAt: '2026-11-22T04:00:00.000Z',
  completedAt: null,
  durationMs: null,
  survivorship: 'biased',
  tasks: [
    { ...task, task: 'ingestion', status: 'succeeded', durationMs: 959, attempts: 2 },
    { ...task, task: 'training', status: 'running', startedAt: '2026-11-22T04:00:01.000Z' },
    { ...task, task: 'backtest', status: 'waiting', attempts: 0, reason: 'for a slot' },
    { ...task, task: 'driftMonitoring', status: 'awaiting_review', reason: 'x'.repeat(200) },
  ],
  coverage: null,
  models: [],
  signals: [],
  drift: null,
  urls: {},
});
const activity = {
  activityId: '1',
  activityType: 'fitFold',
  subject: 'mlp block 2',
  attempt: 2,
  started: true,
  phase: 'fit',
  done: 3,
  total: 8,
  lastFailure: 'gone',
};
const view = {
  progress: new Map([
    [
      'training' as const,
      {
        workflowId: 'w',
        runId: 'r',
        steps: [{ activityType: 'fitFold', done: 5, total: 16 }],
        pending: [activity, { ...activity, activityId: '2', started: false }],
        retries: [],
      },
    ],
  ]),
  frame: 0,
  nowMs: Date.parse('2026-11-22T04:00:31.000Z'),
};

describe('liveBlock', () => {
  it('shows states, times, attempts, what is worked on and how far', () => {
    expect(liveBlock(report, { ...view, columns: 100 }).slice(0, 5)).toEqual([
      '  ✓ ingestion        succeeded  959 ms  attempt 2',
      '  ⠋ training         running    30.0 s',
      '      fold fits 5 of 16',
      '      → fold fit mlp block 2 (fit 3 of 8), attempt 2',
      '  · backtest         waiting    for a slot',
    ]);
  });

  it('never wraps a line, so that it can be redrawn in place', () => {
    const lines = liveBlock(report, { ...view, columns: 60 });
    expect(lines.at(-1)).toMatch(/^ {2}\? driftMonitoring {2}awaiting_review x+…$/);
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThan(60);
  });
});
