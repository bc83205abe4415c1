import { sleep } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { expect, it } from 'vitest';

import { NIGHT_TASKS, nightWorkflowId } from '../../src/contracts/wire/names.ts';
import { createFakes, nightPlan, SESSION, statesOf } from '../support/fakes.ts';
import { eventually, useRig } from '../support/rig.ts';

const rigs = useRig();

it.each([
  // Longer than the server's patience with one workflow task.
  ['hangs', async (askedBefore: number) => askedBefore > 0 || (await sleep('30 seconds'))],
  [
    'finds no database for a while',
    async (_: number, sinceMs: number) => {
      if (sinceMs < 4_000) throw ApplicationFailure.retryable('no answer', 'DatabaseUnavailable');
    },
  ],
])('a decision whose row %s goes on as an ordinary activity, and replays', async (_words, trouble) => {
  let failures = 0;
  let asked = 0;
  let askedAtMs = 0;
  const { activities, book } = createFakes({
    planNight: async (input) => nightPlan(input, { training: { reviewWindowMs: 3_600_000 } }),
    registerTraining: async () => {
      failures += 1;
      if (failures > 1) return {};
      throw ApplicationFailure.nonRetryable('folds differ', 'NumericFailure');
    },
  });
  const rig = rigs.current;
  rig.use({
    ...activities,
    recordReview: async (input) => {
      if (asked === 0) askedAtMs = Date.now();
      asked += 1;
      await trouble(asked - 1, Date.now() - askedAtMs);
      await activities.recordReview(input);
    },
  });
  const handle = await rig.startNight();
  await eventually('it waits', () => statesOf(book, 'training').includes('awaiting_review'));
  await rig.decide(handle, { taskRunId: 'training-run', decision: 'retry', by: 'Ann', why: 'test' });
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  expect(book.reviews.map(({ decision }) => decision)).toEqual(['retry']);
  expect(asked).toBeGreaterThan(1);
  const { events } = await handle.fetchHistory();
  const scheduled = (events ?? []).flatMap(
    ({ activityTaskScheduledEventAttributes: event }) => event?.activityType?.name ?? [],
  );
  expect(scheduled).toEqual(['recordReview']);
  expect(await rig.replayAll()).toBeGreaterThan(0);
});

it('a run does not wait for the rows of another', async () => {
  const rig = rigs.current;
  const { activities } = createFakes({
    // Ids of task runs are unique in life; the queue does not grant a slot twice to one.
    planNight: async (input) =>
      nightPlan(
        input,
        Object.fromEntries(NIGHT_TASKS.map((task) => [task, { taskRunId: `${task}-${input.universe}` }])),
      ),
  });
  let letGo = () => {};
  let isHeld = false;
  const held = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  rig.use({
    ...activities,
    finishNight: async (input) => {
      if (input.workflowId === nightWorkflowId(SESSION, 'held')) {
        isHeld = true;
        await held;
      }
      await activities.finishNight(input);
    },
  });
  const first = await rig.startNight({ universe: 'held' });
  await eventually('its last row is being written', () => isHeld);
  const second = await rig.startNight();
  try {
    expect(await second.result()).toMatchObject({ state: 'succeeded' });
  } finally {
    letGo();
  }
  expect(await first.result()).toMatchObject({ state: 'succeeded' });
});
