import { describe, expect, it } from 'vitest';
import {
  type AlertFacts,
  type AlertThresholds,
  type AttemptFact,
  judgeAlerts,
  type NightFact,
} from './alert-rules.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const NOW = Date.parse('2026-03-03T12:00:00Z');
const ENABLED = NOW - 30 * 24 * HOUR;

const thresholds: AlertThresholds = {
  nightLateMs: 6 * HOUR,
  nightMissedMs: 20 * MINUTE,
  reviewSoonMs: HOUR,
  coverageRatio: 0.95,
  schedulePausedMs: 24 * HOUR,
  queueSilentMs: 2 * MINUTE,
};
const quiet: AlertFacts = {
  nowMs: NOW,
  enabledSinceMs: ENABLED,
  nights: [],
  missed: [],
  attempts: [],
  failedRuns: [],
  reviews: [],
  coverage: [],
  drift: [],
  pauses: [],
  queues: [],
};
const about = { sessionDate: '2026-03-02', universe: 'sample' };

/** What the rules say, as `rule severity`. */
function said(facts: Partial<AlertFacts>): string[] {
  return judgeAlerts({ ...quiet, ...facts }, thresholds).alerts.map(
    ({ rule, severity }) => `${rule} ${severity}`,
  );
}

function night(change: Partial<NightFact>): NightFact {
  return {
    ...about,
    workflowId: 'nightly-1',
    runId: 'run-1',
    state: 'running',
    reason: null,
    nominalMs: NOW - HOUR,
    completedMs: null,
    ...change,
  };
}

describe('nights', () => {
  it.each([
    ['failed', NOW, ['night_failed critical']],
    ['partial', NOW, ['night_failed warning']],
    ['succeeded', NOW, []],
    ['cancelled', NOW, []],
    ['failed', ENABLED, ['night_failed critical']],
    ['failed', ENABLED - 1, []],
  ])('that ended %s at %i', (state, completedMs, expected) => {
    expect(said({ nights: [night({ state, completedMs })] })).toEqual(expected);
  });

  it.each([
    ['a moment before', NOW - 6 * HOUR + 1, []],
    ['at the limit', NOW - 6 * HOUR, ['night_late critical']],
    ['long after', NOW - 48 * HOUR, ['night_late critical']],
    ['when it was late before alerts were on', ENABLED - 6 * HOUR - 1, []],
  ])('that still run %s', (_when, nominalMs, expected) => {
    expect(said({ nights: [night({ nominalMs })] })).toEqual(expected);
    expect(said({ nights: [night({ nominalMs, state: 'awaiting_review' })] })).toEqual(expected);
  });

  it('say which one and why', () => {
    const failed = night({ state: 'failed', reason: 'training failed (no rows)', completedMs: NOW });
    const [alert] = judgeAlerts({ ...quiet, nights: [failed] }, thresholds).alerts;
    expect(alert).toMatchObject({
      key: 'night_failed/sample/2026-03-02',
      summary: 'the night of 2026-03-02 (sample) failed: training failed (no rows)',
      details: { ...about, workflowId: 'nightly-1', runId: 'run-1', completed: '2026-03-03T12:00:00.000Z' },
    });
    const late = night({ nominalMs: NOW - 7 * HOUR - 5 * MINUTE });
    expect(judgeAlerts({ ...quiet, nights: [late] }, thresholds).alerts[0]?.summary).toBe(
      'the night of 2026-03-02 (sample) is late: running 7 h 5 min after its start',
    );
  });

  it('have one alert per session and universe, however many runs they had', () => {
    const twice = [night({}), night({ runId: 'run-2' })].map((one) => ({
      ...one,
      nominalMs: NOW - 9 * HOUR,
    }));
    expect(said({ nights: twice })).toEqual(['night_late critical']);
    const others = [...twice, { ...night({ nominalMs: NOW - 9 * HOUR }), universe: 'sp500' }];
    expect(said({ nights: others })).toHaveLength(2);
  });
});

describe('missed nights', () => {
  const missed = {
    ...about,
    nominalMs: NOW - 20 * MINUTE,
    command: 'nightshift nightly --session 2026-03-02',
  };

  it.each([
    ['while the watchdog may still start it', NOW - 20 * MINUTE + 1, []],
    ['from the limit on', NOW - 20 * MINUTE, ['night_missed critical']],
    ['not from before alerts were on', ENABLED - 1, []],
  ])('%s', (_when, nominalMs, expected) => {
    expect(said({ missed: [{ ...missed, nominalMs }] })).toEqual(expected);
  });

  it('name the command, and say nothing where they could not be found out', () => {
    const { alerts, unknown } = judgeAlerts({ ...quiet, missed: [missed] }, thresholds);
    expect(alerts[0]?.summary).toContain('run it with: nightshift nightly --session 2026-03-02');
    expect(unknown).toEqual([]);
    expect(judgeAlerts({ ...quiet, missed: null }, thresholds)).toEqual({
      alerts: [],
      unknown: ['night_missed'],
    });
  });
});

describe('attempts', () => {
  const run: AttemptFact = {
    ...about,
    taskRunId: 't1',
    task: 'ingestion',
    state: 'running',
    attempts: 4,
    maxAttempts: 4,
    reason: null,
    completedMs: null,
  };

  it.each<[Partial<AttemptFact>, string | null]>([
    [{}, 'runs its last attempt, 4 of 4'],
    [{ attempts: 3 }, null],
    [{ attempts: 5 }, 'runs its last attempt, 5 of 4'],
    [{ state: 'succeeded', completedMs: NOW }, 'succeeded only in attempt 4'],
    [{ state: 'failed', completedMs: NOW }, 'failed in its last attempt, 4 of 4'],
    [{ state: 'failed', completedMs: ENABLED - 1 }, null],
    [{ state: 'cancelled', completedMs: NOW }, null],
    [{ attempts: 1, maxAttempts: 1 }, null],
  ])('%j', (change, words) => {
    const { alerts } = judgeAlerts({ ...quiet, attempts: [{ ...run, ...change }] }, thresholds);
    expect(alerts.map(({ summary }) => summary)).toEqual(
      words === null ? [] : [`ingestion of 2026-03-02 (sample) ${words}`],
    );
  });
});

describe('runs that no night tells', () => {
  const run = {
    ...about,
    taskRunId: 't5',
    task: 'weeklyMaintenance',
    reason: 'no disk',
    completedMs: ENABLED,
  };

  it('are told when they failed, not from before alerts were on', () => {
    const { alerts } = judgeAlerts({ ...quiet, failedRuns: [run] }, thresholds);
    expect(alerts).toMatchObject([
      {
        rule: 'run_failed',
        key: 'run_failed/weeklyMaintenance/sample',
        severity: 'warning',
        summary: 'weeklyMaintenance of 2026-03-02 (sample) failed: no disk',
      },
    ]);
    expect(said({ failedRuns: [{ ...run, completedMs: ENABLED - 1 }] })).toEqual([]);
  });
});

describe('reviews', () => {
  const review = { ...about, taskRunId: 't2', task: 'training', attempts: 1, reason: 'no rows' };

  it.each([
    ['without a deadline', null, ['review_waiting warning']],
    ['with time', NOW + HOUR + 1, ['review_waiting warning']],
    ['at the limit', NOW + HOUR, ['review_waiting warning', 'review_expiring critical']],
    ['past it', NOW - 1, ['review_waiting warning', 'review_expiring critical']],
  ])('that wait %s', (_how, deadlineMs, expected) => {
    expect(said({ reviews: [{ ...review, deadlineMs }] })).toEqual(expected);
  });

  it('are told each for itself: a retry that fails waits anew', () => {
    const keys = (attempts: number) =>
      judgeAlerts({ ...quiet, reviews: [{ ...review, attempts, deadlineMs: NOW }] }, thresholds).alerts.map(
        ({ key }) => key,
      );
    expect(keys(1)).toEqual(keys(1));
    expect(new Set([...keys(1), ...keys(2)]).size).toBe(4);
  });

  it('say how to decide', () => {
    const { alerts } = judgeAlerts(
      { ...quiet, reviews: [{ ...review, deadlineMs: NOW + 5 * MINUTE }] },
      thresholds,
    );
    for (const { summary } of alerts) expect(summary).toContain('nightshift review t2 retry|skip|abort');
    expect(alerts[1]?.summary).toContain('fails in 5 min unless');
  });
});

describe('data and drift', () => {
  it.each([
    [0.95, NOW, []],
    [0.9499, NOW, ['coverage_low warning']],
    [0, NOW, ['coverage_low warning']],
    [0, ENABLED - 1, []],
  ])('coverage of %d, known at %i', (ratio, completedMs, expected) => {
    expect(said({ coverage: [{ ...about, taskRunId: 't3', ratio, members: 30, completedMs }] })).toEqual(
      expected,
    );
  });

  it.each([
    [0, false, NOW, []],
    [2, false, NOW, ['drift_alarm warning']],
    [0, true, NOW, ['retraining_flag warning']],
    [1, true, NOW, ['drift_alarm warning', 'retraining_flag warning']],
    [1, true, ENABLED - 1, []],
  ])('%i alarms, flag %s, known at %i', (alarms, retrainingFlag, completedMs, expected) => {
    const fact = { ...about, taskRunId: 't4', alarms, retrainingFlag, reason: 'volume moved', completedMs };
    expect(said({ drift: [fact] })).toEqual(expected);
  });

  it('is one alert over nights for as long as it is the case', () => {
    const fact = (sessionDate: string) => ({
      sessionDate,
      universe: 'sample',
      taskRunId: sessionDate,
      reason: null,
      completedMs: NOW,
    });
    const keys = (sessionDate: string) => {
      const one = fact(sessionDate);
      const attempts = [{ ...one, task: 'training', state: 'failed', attempts: 2, maxAttempts: 2 }];
      const coverage = [{ ...one, ratio: 0, members: 30 }];
      const drift = [{ ...one, alarms: 1, retrainingFlag: true }];
      return judgeAlerts({ ...quiet, attempts, coverage, drift }, thresholds).alerts.map(({ key }) => key);
    };
    expect(keys('2026-03-02')).toEqual([
      'last_attempt/training/sample',
      'coverage_low/sample',
      'drift_alarm/sample',
      'retraining_flag/sample',
    ]);
    expect(keys('2026-03-03')).toEqual(keys('2026-03-02'));
  });
});

describe('schedules and workers', () => {
  it.each([
    [NOW - 24 * HOUR + 1, []],
    [NOW - 24 * HOUR, ['schedule_paused warning']],
  ])('paused since %i', (pausedSinceMs, expected) => {
    expect(said({ pauses: [{ scheduleId: 'nightly', pausedSinceMs, note: 'a holiday' }] })).toEqual(expected);
  });

  it.each([
    [null, []],
    [NOW - 2 * MINUTE + 1, []],
    [NOW - 2 * MINUTE, ['queue_unpolled critical']],
  ])('silent since %s', (silentSinceMs, expected) => {
    expect(said({ queues: [{ queue: 'ml', silentSinceMs }] })).toEqual(expected);
  });

  it('says nothing of workers where they could not be found out', () => {
    expect(judgeAlerts({ ...quiet, queues: null, missed: null }, thresholds).unknown).toEqual([
      'night_missed',
      'queue_unpolled',
    ]);
  });

  it('says days and hours', () => {
    const pause = { scheduleId: 'nightly', note: null };
    const words = (hours: number) =>
      judgeAlerts({ ...quiet, pauses: [{ ...pause, pausedSinceMs: NOW - hours * HOUR }] }, thresholds)
        .alerts[0]?.summary;
    expect(words(30)).toBe('the schedule nightly has been paused for 30 h');
    expect(words(48)).toBe('the schedule nightly has been paused for 2 d');
    expect(words(75)).toBe('the schedule nightly has been paused for 3 d 3 h');
  });
});
