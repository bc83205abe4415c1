import { ApplicationFailure } from '@temporalio/common';
import { describe, expect, it } from 'vitest';

import type { ReviewDecision } from '../../src/contracts/activities.ts';
import { taskWorkflowId } from '../../src/contracts/wire/names.ts';
import { reviewsOf } from '../../src/db/queries/requests.ts';
import { eventually } from '../support/rig.ts';
import { type NightHandle, Scene, useScene } from './scene.ts';

const scenes = useScene();
const PROBLEM = 'NumericFailure: folds differ';

/** A night whose training fails the first time, as soon as it waits for a person. */
async function waitingNight(sessionDate: string): Promise<{ night: NightHandle; taskRunId: string }> {
  const scene = scenes.current;
  let failures = 0;
  const night = await scene.start({
    sessionDate,
    activities: {
      registerTraining: async () => {
        failures += 1;
        if (failures > 1) return { version: 'v2' };
        throw ApplicationFailure.nonRetryable('folds differ', 'NumericFailure');
      },
    },
  });
  const taskRunId = await eventually('the night waits for a person', async () => {
    const facts = await scene.facts(night).catch(() => undefined);
    return facts?.row.state === 'awaiting_review' && facts.runs.get('training')?.taskRunId;
  });
  return { night, taskRunId };
}

async function decide(
  waiting: { night: NightHandle; taskRunId: string },
  decision: ReviewDecision,
): Promise<void> {
  const { night, taskRunId } = waiting;
  await scenes.current.rig.decide(night, { taskRunId, decision, by: 'Ann', why: 'looked at it' });
  await night.result().catch(() => undefined);
  const reviews = await reviewsOf(scenes.current.house.database.sql, taskRunId);
  expect(reviews).toMatchObject([{ decision, decidedBy: 'Ann', why: 'looked at it' }]);
}

describe('a review in the Web UI', () => {
  it('is seen while it waits, with what a person can do; then retry', async () => {
    const scene = scenes.current;
    const sessionDate = '2018-01-29';
    const waiting = await waitingNight(sessionDate);
    const { night, taskRunId } = waiting;
    const before = await scene.facts(night);
    expect([before.row.state, before.report.status]).toEqual(['awaiting_review', 'awaiting_review']);
    expect(Scene.task(before, 'training')).toEqual({
      state: 'awaiting_review',
      reason: PROBLEM,
      attempts: 1,
    });

    await scene.open(night, 'user-metadata');
    await scene.sees(
      /Running nightly\/2018-01-29\/tiny/,
      'Night of 2018-01-29, tiny (manual): awaiting_review',
      /training awaiting_review 1 \d\d:/,
      `training awaiting_review: ${PROBLEM}`,
      /Decide until \d{4}-\d\d-\d\d \d\d:\d\d UTC/,
      `nightshift review ${taskRunId} retry|skip|abort --by NAME --why TEXT`,
    );
    await scenes.screenshot('awaiting-review');
    await scene.open(night, 'search-attributes');
    await scene.sees('"ReviewState": "pending"', '"SessionDate": "2018-01-29"', '"Universe": "tiny"');
    await scene.open(night, 'timeline');
    await scene.sees(`waits for a person to decide about ${taskRunId}`);
    await scenes.screenshot('awaiting-review-timeline');
    await scene.list('ReviewState="pending"');
    await scene.sees('1 Workflow', /Running nightly\/2018-01-29\/tiny/);

    await decide(waiting, 'retry');
    const after = await scene.facts(night);
    expect([after.row.state, after.report.status]).toEqual(['succeeded', 'succeeded']);
    expect(Scene.task(after, 'training')).toEqual({ state: 'succeeded', reason: null, attempts: 2 });
    await scene.open(night, 'user-metadata');
    await scene.sees(/training succeeded 2 \d\d:/, 'training started again by Ann: looked at it');
    await scene.open(night, 'memo');
    await scene.sees(
      /"training": "succeeded after 2 attempts, [\d:]{8} to [\d:]{8} UTC: started again by Ann: looked at it"/,
    );
    await scenes.screenshot('review-retried');
    await scene.open(night, 'search-attributes');
    await scene.sees('"ReviewState": "decided"', '"RunState": "succeeded"');
    await scene.list(`WorkflowId="${taskWorkflowId('training', sessionDate, 'tiny')}"`);
    await scene.sees('2 Workflows', '1 Completed', '1 Failed');
  });

  it('skip fails the task for those that need it', async () => {
    const scene = scenes.current;
    const waiting = await waitingNight('2018-01-30');
    await decide(waiting, 'skip');
    const facts = await scene.facts(waiting.night);
    const reason = `skipped by Ann: looked at it (${PROBLEM})`;
    expect([facts.row.state, facts.report.status]).toEqual(['partial', 'partial']);
    expect(Scene.task(facts, 'training')).toEqual({ state: 'failed', reason, attempts: 1 });
    expect(Scene.task(facts, 'overnightScan')).toMatchObject({ state: 'skipped', reason: 'training failed' });

    await scene.open(waiting.night, 'memo');
    await scene.sees(
      /Completed nightly/,
      '"state": "partial"',
      `UTC: ${reason}"`,
      '"skipped: training failed"',
    );
    await scenes.screenshot('review-skipped');
    await scene.open(waiting.night, 'history');
    await scene.sees('decideReview', 'Workflow Execution Update Accepted');
    await scenes.screenshot('review-history');
  });

  it('abort ends the night', async () => {
    const scene = scenes.current;
    const waiting = await waitingNight('2018-01-31');
    await decide(waiting, 'abort');
    const facts = await scene.facts(waiting.night);
    const reason = 'aborted by Ann: looked at it';
    expect([facts.row.state, facts.report.status]).toEqual(['failed', 'failed']);
    expect(facts.report.reason).toBe(reason);
    expect(Scene.task(facts, 'training')).toMatchObject({
      state: 'failed',
      reason: `${reason} (${PROBLEM})`,
    });
    expect(Scene.task(facts, 'overnightScan')).toMatchObject({ state: 'cancelled' });

    await scene.open(waiting.night, 'timeline');
    await scene.sees(
      /Failed nightly\/2018-01-31\/tiny/,
      `"message": "the night of 2018-01-31 failed: ${reason}"`,
    );
    await scenes.screenshot('review-aborted');
    await scene.open(waiting.night, 'user-metadata');
    await scene.sees(`failed: ${reason}`, `overnightScan cancelled: the night was ${reason}`);
  });
});
