import { randomUUID } from 'node:crypto';
import type { TaskStep } from '../../src/contracts/activities.ts';
import type { Sql } from '../../src/db/client.ts';
import { beginAttempt } from '../../src/db/queries/attempts.ts';
import type { NewNight } from '../../src/db/queries/nights.ts';
import { insertTaskRuns, type NewTaskRun } from '../../src/db/queries/task-runs.ts';
import { uniqueName } from './env.ts';

/** Row of a night that nobody else has; each part can be replaced. */
export function newNight(overrides: Partial<NewNight> = {}): NewNight {
  return {
    workflowId: uniqueName('night'),
    runId: randomUUID(),
    sessionDate: '2018-02-07',
    universe: uniqueName('u'),
    universeVersion: 'v',
    trigger: 'cli',
    configHash: 'c',
    requestedBy: null,
    nominalInstant: null,
    plan: { tasks: [] },
    ...overrides,
  };
}

/** Row of a pending task run that nobody else has, asked for by hand; each part can be replaced. */
export function newTaskRun(overrides: Partial<NewTaskRun> = {}): NewTaskRun {
  const taskRunId = overrides.taskRunId ?? uniqueName('task');
  return {
    taskRunId,
    nightWorkflowId: null,
    nightRunId: null,
    starterWorkflowId: `manual/${taskRunId}`,
    starterRunId: randomUUID(),
    task: 'training',
    sessionDate: '2018-02-07',
    universe: uniqueName('u'),
    universeVersion: 'v',
    state: 'pending',
    reason: null,
    trigger: 'manual',
    forced: false,
    requestedBy: 'test',
    maxAttempts: 1,
    timeoutMs: 60_000,
    dependsOn: [],
    notBefore: null,
    configHash: 'c',
    ...overrides,
  };
}

/** A task run whose first attempt (or the given one) has begun: what a step of it gets. */
export async function beginStep(input: {
  sql: Sql;
  run: NewTaskRun;
  workflowId: string;
  attempt?: number;
}): Promise<TaskStep> {
  const { sql, run, workflowId, attempt = 1 } = input;
  const { taskRunId, task, sessionDate, universe, universeVersion, configHash, forced, timeoutMs } = run;
  const fence = { taskRunId, workflowId, runId: randomUUID(), attempt };
  await insertTaskRuns(sql, [run]);
  await beginAttempt(sql, fence);
  const identity = { taskRunId, task, sessionDate, universe, universeVersion, configHash };
  return { ...identity, trigger: run.trigger, forced, timeoutMs, turn: 0, fence };
}
