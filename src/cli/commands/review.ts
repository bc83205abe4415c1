import { Argument, Command } from 'commander';
import type { ReviewDecision } from '../../contracts/activities.ts';
import type { Task } from '../../contracts/wire/names.ts';
import { findTaskRun, listTaskRuns } from '../../db/queries/task-runs.ts';
import { decideReview } from '../../temporal/verbs.ts';
import { type App, attachApp } from '../app.ts';
import { UsageError } from '../exit-codes.ts';
import { requireTask } from '../options.ts';

const DECISIONS: ReviewDecision[] = ['retry', 'skip', 'abort'];

/** `nightshift review RUN DECISION`: one decision by a named person about a task that waits. */
export function reviewCommand(): Command {
  return new Command('review')
    .description('decide about a failed task that waits: retry it, skip it, or abort the night')
    .argument('<run>', 'task run id, or workflow id of the night')
    .addArgument(new Argument('<decision>').choices(DECISIONS))
    .option('--task <task>', 'which of several that wait in this night: name, or the number 1 to 6')
    .requiredOption('--by <name>', 'who decides')
    .requiredOption('--why <text>', 'the reason, kept in the audit')
    .option('--data-dir <dir>', 'data folder (default .nightshift)')
    .action(
      async (
        run: string,
        decision: ReviewDecision,
        options: { task?: string; by: string; why: string; dataDir?: string },
      ) => {
        const named = options.task === undefined ? null : requireTask(options.task);
        const app = await attachApp(options.dataDir);
        try {
          const { taskRunId, workflowId, task, attempts } = await findWaiting(app, { run, named });
          const { by, why } = options;
          const review = { taskRunId, decision, by, why };
          await decideReview({
            client: app.client,
            sql: app.database.sql,
            workflowId,
            review,
            attempts,
            onSilence: () => console.error('no worker has answered yet, asking on'),
          });
          console.log(`${decision} of ${task} decided by ${by}.`);
        } finally {
          await app.close();
        }
      },
    );
}

/** The task run with this id, or the named or only one of this night that waits. */
async function findWaiting(app: App, { run, named }: { run: string; named: Task | null }) {
  const { sql } = app.database;
  const byId = await findTaskRun(sql, run);
  const waiting = await listTaskRuns(sql, { states: ['awaiting_review'] });
  const ofNight = waiting.filter(
    ({ starterWorkflowId, task }) => starterWorkflowId === run && (named === null || task === named),
  );
  const candidates = byId === null ? ofNight : [byId];
  const [found] = candidates;
  if (found === undefined) {
    throw new UsageError(`run: nothing of ${run} waits for a review (\`nightshift status\` lists what does)`);
  }
  if (candidates.length > 1) {
    const ids = candidates.map(({ task, taskRunId }) => `${taskRunId} (${task})`).join(', ');
    throw new UsageError(`run: several tasks of ${run} wait; choose one with --task, or by its id: ${ids}`);
  }
  const { taskRunId, starterWorkflowId: workflowId, task, attempts } = found;
  return { taskRunId, workflowId, task, attempts };
}
