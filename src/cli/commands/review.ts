import { Argument, Command } from 'commander';
import type { ReviewDecision } from '../../contracts/activities.ts';
import { findTaskRun, listTaskRuns } from '../../db/queries/task-runs.ts';
import { decideReview } from '../../temporal/verbs.ts';
import { type App, attachApp } from '../app.ts';
import { UsageError } from '../exit-codes.ts';

const DECISIONS: ReviewDecision[] = ['retry', 'skip', 'abort'];

/** `nightshift review RUN DECISION`: one decision by a named person about a task that waits. */
export function reviewCommand(): Command {
  return new Command('review')
    .description('decide about a failed task that waits: retry it, skip it, or abort the night')
    .argument('<run>', 'task run id, or workflow id of the night')
    .addArgument(new Argument('<decision>').choices(DECISIONS))
    .requiredOption('--by <name>', 'who decides')
    .requiredOption('--why <text>', 'the reason, kept in the audit')
    .option('--data-dir <dir>', 'data folder (default .nightshift)')
    .action(
      async (
        run: string,
        decision: ReviewDecision,
        options: { by: string; why: string; dataDir?: string },
      ) => {
        const app = await attachApp(options.dataDir);
        try {
          const { taskRunId, workflowId, task, attempts } = await findWaiting(app, run);
          const { by, why } = options;
          const review = { taskRunId, decision, by, why };
          await decideReview({ client: app.client, sql: app.database.sql, workflowId, review, attempts });
          console.log(`${decision} of ${task} decided by ${by}.`);
        } finally {
          await app.close();
        }
      },
    );
}

/** The task run with this id, or the only one of this night that waits. */
async function findWaiting(app: App, run: string) {
  const { sql } = app.database;
  const byId = await findTaskRun(sql, run);
  const waiting = await listTaskRuns(sql, { states: ['awaiting_review'] });
  const candidates = byId === null ? waiting.filter((entry) => entry.starterWorkflowId === run) : [byId];
  const [found] = candidates;
  if (found === undefined) {
    throw new UsageError(`run: nothing of ${run} waits for a review (\`nightshift status\` lists what does)`);
  }
  if (candidates.length > 1) {
    const ids = candidates.map(({ task, taskRunId }) => `${taskRunId} (${task})`).join(', ');
    throw new UsageError(`run: several tasks of ${run} wait; name the one you mean: ${ids}`);
  }
  const { taskRunId, starterWorkflowId: workflowId, task, attempts } = found;
  return { taskRunId, workflowId, task, attempts };
}
