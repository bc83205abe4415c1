import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { describe, expect, it } from 'vitest';

import { taskWorkflowId } from '../../src/contracts/wire/names.ts';
import { testConfig } from '../support/house.ts';
import { eventually } from '../support/rig.ts';
import { Scene, useScene } from './scene.ts';

const scenes = useScene();
const RETRIED = { retry_on_failure: true, max_retries: 1 };

describe('a task in the Web UI', () => {
  it('failed, its dependent skipped, another one disabled: a partial night', async () => {
    const scene = scenes.current;
    const sessionDate = '2018-01-29';
    const night = await scene.night({
      sessionDate,
      config: testConfig({ tasks: { 3: { enabled: false }, 4: RETRIED } }),
      activities: {
        maturePredictions: async () => {
          throw ApplicationFailure.nonRetryable('the close of 2018-01-26 is missing', 'DataDefect');
        },
      },
    });
    const facts = await scene.facts(night);
    const failure = 'DataDefect: the close of 2018-01-26 is missing';
    expect([facts.row.state, facts.report.status]).toEqual(['partial', 'partial']);
    expect(Scene.task(facts, 'backtest')).toEqual({ state: 'failed', reason: failure, attempts: 1 });
    const skipped = { state: 'skipped', reason: 'backtest failed', attempts: 0 };
    expect(Scene.task(facts, 'driftMonitoring')).toEqual(skipped);
    const disabled = { state: 'disabled', reason: 'disabled in the configuration', attempts: 0 };
    expect(Scene.task(facts, 'overnightScan')).toEqual(disabled);

    await scene.open(night, 'user-metadata');
    await scene.sees(
      /Completed nightly\/2018-01-29\/tiny/,
      'night of 2018-01-29, tiny',
      'Ingestion, then training and backtest',
      'Night of 2018-01-29, tiny (manual): partial',
      /task state attempts started \(UTC\) ended/,
      /backtest failed 1 \d\d:\d\d:\d\d/,
      /driftMonitoring skipped/,
      /overnightScan disabled/,
      `backtest failed: ${failure}`,
      'driftMonitoring skipped: backtest failed',
      'overnightScan disabled: disabled in the configuration',
    );
    await scenes.screenshot('partial-details');
    await scene.open(night, 'memo');
    await scene.sees(
      '"state": "partial"',
      /"backtest": "failed, [\d:]{8} to [\d:]{8} UTC: DataDefect: the close of 2018-01-26 is missing"/,
      '"driftMonitoring": "skipped: backtest failed"',
      '"overnightScan": "disabled: disabled in the configuration"',
      /"training": "succeeded, [\d:]{8} to [\d:]{8} UTC"/,
    );
    await scenes.screenshot('partial-memo');
    await scene.open(night, 'timeline');
    await scene.sees('backtest of 2018-01-29 (tiny)', 'training asks for a slot');
    await scenes.screenshot('partial-timeline');
    await scene.open({ workflowId: taskWorkflowId('backtest', sessionDate, 'tiny') }, 'timeline');
    await scene.sees(
      /Failed backtest\/2018-01-29\/tiny/,
      '"message": "the close of 2018-01-26 is missing"',
      '"type": "DataDefect"',
      'block 1',
    );
    await scenes.screenshot('failed-task');
    await scene.list('RunState="partial"');
    await scene.sees(/Completed nightly\/2018-01-29\/tiny/, '1 Workflow');
    await scenes.screenshot('filter-partial');
  });

  it('retried, then succeeded', async () => {
    const scene = scenes.current;
    const sessionDate = '2018-01-30';
    const workflowId = taskWorkflowId('backtest', sessionDate, 'tiny');
    const night = await scene.night({
      sessionDate,
      config: testConfig({ tasks: { 4: RETRIED } }),
      activities: {
        runBacktest: async ({ fence }) => {
          if (fence.attempt > 1) return { sessions: 100 };
          throw ApplicationFailure.create({ message: 'memory ran out', type: 'Flaky', nextRetryDelay: 1 });
        },
      },
    });
    const facts = await scene.facts(night);
    expect([facts.row.state, facts.report.status]).toEqual(['succeeded', 'succeeded']);
    expect(Scene.task(facts, 'backtest')).toEqual({ state: 'succeeded', reason: null, attempts: 2 });

    await scene.open(night, 'user-metadata');
    await scene.sees(
      /tiny \(manual\): succeeded/,
      /backtest succeeded 2 \d\d:/,
      /training succeeded 1 \d\d:/,
    );
    await scenes.screenshot('retried-details');
    await scene.open(night, 'memo');
    await scene.sees(/"backtest": "succeeded after 2 attempts, /);
    await scene.open({ workflowId }, 'timeline');
    await scene.sees(/Completed backtest\/2018-01-30\/tiny/, '"attempt": 2');
    await scene.open({ workflowId }, 'user-metadata');
    await scene.sees('backtest of 2018-01-30 (tiny): attempt 2 of 2: succeeded');
    await scenes.screenshot('retried-task');
    await scene.list(`WorkflowId="${workflowId}"`);
    await scene.sees('2 Workflows', '1 Completed', '1 Failed');
    await scenes.screenshot('retried-runs');
  });

  it('timed out once, then succeeded', async () => {
    const scene = scenes.current;
    const sessionDate = '2018-01-31';
    const workflowId = taskWorkflowId('driftMonitoring', sessionDate, 'tiny');
    const night = await scene.night({
      sessionDate,
      config: testConfig({ tasks: { 5: { ...RETRIED, timeout_minutes: 3 / 60 } } }),
      activities: {
        runDrift: async ({ fence }) => (fence.attempt > 1 ? { alarms: 0 } : Context.current().cancelled),
      },
    });
    const facts = await scene.facts(night);
    expect([facts.row.state, facts.report.status]).toEqual(['succeeded', 'succeeded']);
    expect(Scene.task(facts, 'driftMonitoring')).toEqual({ state: 'succeeded', reason: null, attempts: 2 });

    await scene.open(night, 'user-metadata');
    await scene.sees(/driftMonitoring succeeded 2 \d\d:/);
    await scene.list(`WorkflowId="${workflowId}"`);
    await scene.sees('2 Workflows', '1 Completed', '1 Timed Out');
    await scenes.screenshot('timed-out-runs');
  });

  it('timed out for good', async () => {
    const scene = scenes.current;
    const sessionDate = '2018-02-01';
    const night = await scene.night({
      sessionDate,
      config: testConfig({ tasks: { 5: { ...RETRIED, timeout_minutes: 1.5 / 60 } } }),
      activities: { runDrift: () => Context.current().cancelled },
    });
    const facts = await scene.facts(night);
    const reason = 'TaskTimeout: the attempt took longer than its timeout';
    expect([facts.row.state, facts.report.status]).toEqual(['partial', 'partial']);
    expect(Scene.task(facts, 'driftMonitoring')).toEqual({ state: 'failed', reason, attempts: 2 });

    await scene.open(night, 'user-metadata');
    await scene.sees(/driftMonitoring failed 2 \d\d:/, `driftMonitoring failed: ${reason}`);
    await scene.open({ workflowId: taskWorkflowId('driftMonitoring', sessionDate, 'tiny') }, 'timeline');
    await scene.sees(/Timed Out driftMonitoring\/2018-02-01\/tiny/, 'RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED');
    await scenes.screenshot('timed-out-task');
  });
});

describe('a night in the Web UI', () => {
  it('failed, in plain words', async () => {
    const scene = scenes.current;
    const night = await scene.night({
      sessionDate: '2018-02-02',
      config: testConfig({ tasks: { 1: RETRIED } }),
      activities: {
        planIngestion: async () => {
          throw ApplicationFailure.nonRetryable('only 3 of 8 symbols have a bar', 'CoverageTooLow');
        },
      },
    });
    const facts = await scene.facts(night);
    const reason = 'CoverageTooLow: only 3 of 8 symbols have a bar';
    expect([facts.row.state, facts.report.status]).toEqual(['failed', 'failed']);
    expect(Scene.task(facts, 'ingestion')).toEqual({ state: 'failed', reason, attempts: 1 });
    expect(Scene.task(facts, 'training')).toMatchObject({ state: 'skipped', reason: 'ingestion failed' });

    await scene.open(night, 'timeline');
    await scene.sees(
      /Failed nightly\/2018-02-02\/tiny/,
      `"message": "the night of 2018-02-02 failed: ingestion failed (${reason})"`,
    );
    await scenes.screenshot('failed-night');
  });

  it('skipped because another one runs; that one cancelled', async () => {
    const scene = scenes.current;
    const sessionDate = '2018-02-05';
    const first = await scene.start({
      sessionDate,
      activities: { planIngestion: () => Context.current().cancelled },
    });
    await eventually('ingestion runs', async () => {
      const facts = await scene.facts(first).catch(() => undefined);
      return facts?.runs.get('ingestion')?.state === 'running';
    });
    const args = [{ trigger: 'schedule', universe: 'tiny', sessionDate }];
    const second = await scene.rig.client.workflow.start('nightlyPipeline', {
      workflowId: `nightly-${sessionDate}T03:45:00Z`,
      taskQueue: 'pipeline',
      args,
    });
    await second.result();
    const other = { workflowId: second.workflowId, runId: second.firstExecutionRunId };
    const skipped = await scene.facts(other);
    const reason = `already running as ${first.workflowId}`;
    expect([skipped.row.state, skipped.report.status]).toEqual(['skipped', 'skipped']);
    expect(skipped.report.reason).toContain(reason);
    await scene.open(other, 'user-metadata');
    await scene.sees('Night of 2018-02-05, tiny (schedule): skipped', reason);
    await scenes.screenshot('skipped-night');
    await scene.open(other, 'memo');
    await scene.sees('"state": "skipped"', reason);

    await first.cancel();
    await first.result().catch(() => undefined);
    const facts = await scene.facts(first);
    expect([facts.row.state, facts.report.status]).toEqual(['cancelled', 'cancelled']);
    expect(Scene.task(facts, 'ingestion')).toMatchObject({ state: 'cancelled' });
    expect(Scene.task(facts, 'backtest')).toMatchObject({ state: 'cancelled' });
    await scene.open(first, 'memo');
    await scene.sees(
      /Canceled nightly\/2018-02-05\/tiny/,
      '"state": "cancelled"',
      '"reason": "the night was cancelled"',
      '"backtest": "cancelled: the night was cancelled"',
    );
    await scenes.screenshot('cancelled-night');
  });

  it('without a session', async () => {
    const scene = scenes.current;
    const night = await scene.night({ sessionDate: '2018-02-04' });
    const facts = await scene.facts(night);
    expect([facts.row.state, facts.report.status]).toEqual(['no_session', 'no_session']);
    await scene.open(night, 'user-metadata');
    await scene.sees('Night of 2018-02-04, tiny (manual): no_session: XNYS is closed on 2018-02-04');
    await scenes.screenshot('no-session');
    await scene.list('RunState="no_session"');
    await scene.sees(/Completed nightly\/2018-02-04\/tiny/);
  });
});
