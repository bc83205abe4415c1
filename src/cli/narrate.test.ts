import { describe, expect, it } from 'vitest';
import { type RunReport, runReportSchema } from '../contracts/schemas/report.ts';
import type { Task, TaskState } from '../contracts/wire/names.ts';
import type { ActivityProgress, TaskProgress } from '../temporal/progress.ts';
import { createNarrator } from './narrate.ts';

const START = Date.parse('2026-11-22T04:00:00.000Z');

function night(states: Partial<Record<Task, [TaskState, number?, string?]>>): RunReport {
  return runReportSchema.parse({
    schemaVersion: 1,
    sessionDate: '2018-02-07',
    universe: 'sp500',
    universeVersion: 'u1',
    status: 'running',
    reason: null,
    workflowId: 'nightly/newest/sp500',
    runId: 'r1',
    startedAt: '2026-11-22T03:59:50.000Z',
    completedAt: null,
    durationMs: null,
    survivorship: 'biased',
    tasks: Object.entries(states).map(([task, [status, attempts = 1, reason = null]]) => ({
      task,
      status,
      attempts,
      startedAt: status === 'pending' ? null : '2026-11-22T04:00:00.000Z',
      completedAt: null,
      durationMs: status === 'succeeded' ? 399_000 : null,
      reason,
      result: null,
    })),
    coverage: null,
    models: [],
    signals: [],
    drift: null,
    urls: {},
  });
}

function fit(overrides: Partial<ActivityProgress> = {}): ActivityProgress {
  return {
    activityId: '14',
    activityType: 'fitFold',
    subject: 'catboost block 3',
    attempt: 1,
    started: true,
    phase: 'fit',
    done: 40,
    total: 150,
    lastFailure: null,
    ...overrides,
  };
}

function training(done: number, pending: ActivityProgress[]): Map<Task, TaskProgress> {
  return new Map([
    [
      'training',
      {
        workflowId: 'training/2018-02-07/sp500',
        runId: 't1',
        steps: [
          { activityType: 'planFits', done: 1, total: 1 },
          { activityType: 'fitFold', done, total: 40 },
          { activityType: 'fitFinal', done: 0, total: 8 },
        ],
        pending,
        retries: [],
      },
    ],
  ]);
}

function pipe() {
  let nowMs = START;
  const narrate = createNarrator({ now: () => nowMs, withProgress: true });
  return {
    at: (seconds: number, report: RunReport, progress: Map<Task, TaskProgress>) => {
      nowMs = START + seconds * 1000;
      return narrate(report, progress);
    },
  };
}

const running = night({
  ingestion: ['succeeded'],
  training: ['running'],
  backtest: ['waiting', 0, 'for a slot'],
});

describe('plain lines of a running night', () => {
  it('says each state once', () => {
    const { at } = pipe();
    expect(at(0, running, new Map())).toEqual([
      '04:00:00 ingestion succeeded in 6 min 39 s',
      '04:00:00 training running',
      '04:00:00 backtest waiting: for a slot',
    ]);
    expect(at(1, running, new Map())).toEqual([]);
    const again = night({
      ingestion: ['succeeded'],
      training: ['running', 2],
      backtest: ['waiting', 0, 'for 00:00'],
    });
    expect(at(2, again, new Map())).toEqual([
      '04:00:02 training running (attempt 2)',
      '04:00:02 backtest waiting: for 00:00',
    ]);
  });

  it('says how far a running task is, first after 20 s, then at most every 20 s', () => {
    const { at } = pipe();
    const said: string[] = [];
    at(0, running, training(0, [fit()]));
    for (let second = 0.5; second <= 100; second += 0.5) {
      said.push(
        ...at(second, running, training(Math.floor(second / 10), [fit({ done: Math.floor(second) })])),
      );
    }
    expect(said[0]).toBe(
      '04:00:20 training 20.0 s: fold fits 2 of 40, final fits 0 of 8; now fold fit catboost block 3 (fit 20 of 150)',
    );
    expect(said.map((line) => line.slice(0, 8))).toEqual([
      '04:00:20',
      '04:00:40',
      '04:01:00',
      '04:01:20',
      '04:01:40',
    ]);
    expect(said[4]).toContain('1 min 40 s: fold fits 10 of 40');
  });

  it('gives a sign of life each minute when nothing moves', () => {
    const { at } = pipe();
    const said: string[] = [];
    at(0, running, training(5, [fit()]));
    for (let second = 1; second <= 150; second += 1) said.push(...at(second, running, training(5, [fit()])));
    expect(said.map((line) => line.slice(0, 8))).toEqual(['04:00:20', '04:01:20', '04:02:20']);
  });

  it('says that nobody works on it when no worker has it', () => {
    const { at } = pipe();
    at(0, running, training(0, [fit({ started: false })]));
    expect(at(20, running, training(0, [fit({ started: false })]))).toEqual([
      '04:00:20 training 20.0 s: fold fits 0 of 40, final fits 0 of 8; waiting for a worker',
    ]);
  });

  it('says each retry once, with its cause, also one that ended between two looks', () => {
    const { at } = pipe();
    at(0, running, training(0, [fit()]));
    const retried = fit({ attempt: 2, lastFailure: 'activity Heartbeat timeout' });
    expect(at(1, running, training(0, [retried]))).toEqual([
      '04:00:01 training retry 2 of fold fit catboost block 3: activity Heartbeat timeout',
    ]);
    expect(at(2, running, training(0, [retried]))).toEqual([]);
    const ended = training(1, []);
    const own = ended.get('training') as TaskProgress;
    const later = new Map([
      [
        'training' as const,
        { ...own, retries: [retried, { ...retried, activityId: '15', subject: 'mlp block 1', attempt: 3 }] },
      ],
    ]);
    expect(at(3, running, later)).toEqual([
      '04:00:03 training retry 3 of fold fit mlp block 1: activity Heartbeat timeout',
    ]);
  });

  it('leaves the progress to the live block of a terminal', () => {
    let nowMs = START;
    const narrate = createNarrator({ now: () => nowMs, withProgress: false });
    narrate(running, training(0, [fit()]));
    nowMs += 90_000;
    expect(narrate(running, training(7, [fit()]))).toEqual([]);
  });
});
