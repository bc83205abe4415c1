import type { IngestionPlan, TaskStep } from '../../contracts/activities.ts';
import { assertCurrentAttempt } from '../../db/fence.ts';
import { storeSessions } from '../../db/queries/sessions.ts';
import { storeUniverse } from '../../db/queries/universes.ts';
import { cutBatches } from './batches.ts';
import type { IngestionDeps } from './deps.ts';
import { readIngestionNight } from './night.ts';
import { resolveMembers } from './universe-members.ts';

/** Loads calendar and member list into the master data and cuts the members into batches. */
export async function planIngestion(deps: IngestionDeps, step: TaskStep): Promise<IngestionPlan> {
  const night = await readIngestionNight(deps, step);
  const members = await resolveMembers(deps, step, night);
  const sessions = await deps.sessions();
  await deps.db.sql.begin(async (tx) => {
    await assertCurrentAttempt(tx, step.fence);
    await storeSessions(tx, sessions);
    await storeUniverse(tx, {
      universe: step.universe,
      version: step.universeVersion,
      members: [...members.symbols],
      asOf: members.asOf,
      survivorship: members.survivorship,
    });
  });
  return cutBatches(members.symbols, night.config.ingestion);
}
