import { closeGoneStarter, openStarters } from '../db/queries/reconcile.ts';
import { insertAudit } from '../db/queries/requests.ts';
import type { FolderVersion } from './data-folder.ts';
import { FolderVersionError } from './data-folder.ts';
import { withDatabase } from './with-database.ts';

/**
 * A new Temporal server starts with an empty database (the old one may not open), so an upgrade waits until
 * no run is open. `abandonRuns` closes those that are. Schedules come back from Postgres afterwards.
 */
export async function prepareTemporalUpgrade(input: {
  /** The data folder, for the message. */
  root: string;
  from: FolderVersion;
  to: string;
  ownerUrl: string;
  abandonRuns: boolean;
  /** Who gives the runs up. */
  by: string;
}): Promise<string[]> {
  const { root, from, to, ownerUrl, abandonRuns, by } = input;
  return withDatabase(ownerUrl, async (sql) => {
    const open = await openStarters(sql);
    if (open.length > 0 && !abandonRuns) {
      const names = open.map(({ workflowId }) => workflowId).join(', ');
      throw new FolderVersionError(
        `${root} was used with Temporal ${from.temporalServer}; this version brings ${to}, which starts empty, and ` +
          `${open.length === 1 ? '1 run is' : `${open.length} runs are`} still open (${names}). ` +
          `Let Nightshift ${from.product} finish, or give up what is open: ` +
          `\`nightshift up --abandon-runs --data-dir ${root}\`.`,
      );
    }
    const reason = `abandoned: Temporal ${from.temporalServer} was replaced by ${to}`;
    for (const { workflowId, runId } of open) {
      await insertAudit(sql, {
        actor: by,
        action: 'run.abandon',
        subject: workflowId,
        why: reason,
        details: { runId },
      });
      await closeGoneStarter(sql, { workflowId, runId, state: 'cancelled', reason });
    }
    return open.map(({ workflowId }) => workflowId);
  });
}
