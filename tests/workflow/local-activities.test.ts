import { setTimeout as delay } from 'node:timers/promises';
import { ApplicationFailure } from '@temporalio/common';
import { expect, it } from 'vitest';

import { NIGHT_TASKS, nightWorkflowId } from '../../src/contracts/wire/names.ts';
import { type AllActivities, createFakes, nightPlan, SESSION, statesOf } from '../support/fakes.ts';
import { eventually, useRig } from '../support/rig.ts';

const rigs = useRig();

/** Some rows take longer than what is asked for after them. */
function slow(
  activities: AllActivities,
  delaysMs: Partial<Record<keyof AllActivities, number>>,
): AllActivities {
  const entries = Object.entries(activities).map(([name, run]) => {
    const delayMs = Object.entries(delaysMs).find(([slowed]) => slowed === name)?.[1] ?? 0;
    const later = async (input: never) => {
      if (delayMs > 0) await delay(delayMs);
      return run(input);
    };
    return [name, later];
  });
  return { ...activities, ...Object.fromEntries(entries) };
}

it('a decision whose row takes long replays with what came after it', async () => {
  let failures = 0;
  const { activities, book } = createFakes({
    planNight: async (input) => nightPlan(input, { training: { reviewWindowMs: 3_600_000 } }),
    registerTraining: async () => {
      failures += 1;
      if (failures > 1) return {};
      throw ApplicationFailure.nonRetryable('folds differ', 'NumericFailure');
    },
  });
  const rig = rigs.current;
  // Longer than the server's patience with one workflow task: the decision's row spans several of them.
  rig.use(slow(activities, { recordReview: 3_500 }));
  const handle = await rig.startNight({}, { workflowTaskTimeout: '3 seconds' });
  await eventually('it waits', () => statesOf(book, 'training').includes('awaiting_review'));
  await eventually('the backtest is done', () =>
    book.attempts.some(
      (attempt) => attempt.fence.taskRunId === 'backtest-run' && attempt.end === 'succeeded',
    ),
  );
  await rig.decide(handle, { taskRunId: 'training-run', decision: 'retry', by: 'Ann', why: 'test' });
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  const events = (await handle.fetchHistory()).events ?? [];
  const decidedAt = events.findIndex((event) => event.workflowExecutionUpdateAcceptedEventAttributes);
  const tasksAfter = events.slice(decidedAt).filter((event) => event.workflowTaskStartedEventAttributes);
  expect(tasksAfter.length).toBeGreaterThan(1);
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
