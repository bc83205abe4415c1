import type { Client } from '@temporalio/client';
import type { RunReport } from '../contracts/schemas/report.ts';
import { taskWorkflowId } from '../contracts/wire/names.ts';
import { createProgressReader } from '../temporal/progress.ts';
import type { NightProgress } from './render/progress.ts';

/** Reads how far the running tasks of a night are; a task that cannot be asked is left out. */
export function createNightProgressReader(client: Client): (report: RunReport) => Promise<NightProgress> {
  const readTask = createProgressReader(client);
  return async ({ tasks, sessionDate, universe }) => {
    const running = tasks.filter(({ status }) => status === 'running');
    const lists = await Promise.all(
      running.map(({ task }) =>
        readTask(taskWorkflowId(task, sessionDate, universe)).then(
          (progress) => [[task, progress] as const],
          // Not begun yet, or its server is being started again: the rows still tell the states.
          () => [],
        ),
      ),
    );
    return new Map(lists.flat());
  };
}
