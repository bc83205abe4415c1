import { createHash } from 'node:crypto';
import type { Client } from '@temporalio/client';

import { effectiveConfig, parseEffectiveConfig, parseStoredConfigFile } from '../contracts/schemas/config.ts';
import type { Task } from '../contracts/wire/names.ts';
import type { Sql } from '../db/client.ts';
import { CURRENT_FILE, currentConfigHash, findConfig } from '../db/queries/configs.ts';
import {
  findRunRequest,
  insertAudit,
  insertRunRequest,
  type NewRunRequest,
  type RunRequestRow,
} from '../db/queries/requests.ts';
import { succeededTasks } from '../db/queries/task-runs.ts';
import { signalManualRun } from './verbs.ts';

/** A manual run that cannot be asked for: a need is not met, its key names another run, or it was refused before. */
export class RunRefusedError extends Error {
  override name = 'RunRefusedError';
  /** Tasks that it needs and that did not succeed; empty: it is for another reason. */
  readonly missing: readonly Task[];

  constructor(message: string, missing: readonly Task[] = []) {
    super(message);
    this.missing = missing;
  }
}

/** Id of a run that may be asked for again under the same key: the same id each time, in the form of a UUID. */
export function runIdOfKey(key: string): string {
  const hex = createHash('sha256').update(`nightshift run ${key}`).digest('hex');
  // Version 8 is what RFC 9562 leaves to whoever makes the id.
  const parts = [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`];
  return [...parts, hex.slice(20, 32)].join('-');
}

/**
 * Checks the needs of a manual run, stores its request row, then signals the queue; a lost signal is sent again by
 * the reconciler. An id that is known is signalled as it was stored, and answered with that row. Throws
 * RunRefusedError for a need that is not met (unless forced), and for a known id that asks for something else or was
 * refused: it will never run.
 */
export async function requestManualRun(options: {
  client: Client;
  sql: Sql;
  request: NewRunRequest;
  /** Name of the universe, where the request has a file; absent: the request's own. */
  universeName?: string;
  /** Why, where the person was asked for it. */
  why?: string;
  /** Of the HTTP request that asks, as the log has it. */
  httpRequestId?: string;
  /** How long Temporal may take to answer. */
  callMs?: number;
}): Promise<{ isNew: boolean; request: RunRequestRow }> {
  const { client, sql, request, universeName = request.universe, why = null, httpRequestId } = options;
  const { requestId, requestedBy } = request;
  let isNew = false;
  if ((await findRunRequest(sql, requestId)) === null) {
    await requireNeeds(sql, { ...request, universe: universeName });
    isNew = await insertRunRequest(sql, request);
    if (isNew) {
      const { task, sessionDate, universe, force } = request;
      const details = {
        task,
        sessionDate,
        universe,
        force,
        ...(httpRequestId !== undefined && { httpRequestId }),
      };
      await insertAudit(sql, { actor: requestedBy, action: 'run.request', subject: requestId, why, details });
    }
  }
  const stored = await findRunRequest(sql, requestId);
  if (stored === null) throw new Error(`request ${requestId} was stored and is gone`);
  const same = (['task', 'sessionDate', 'universe', 'force'] as const).every(
    (field) => stored[field] === request[field],
  );
  if (!same) {
    const { task, sessionDate, universe, force } = stored;
    throw new RunRefusedError(
      `${requestId} is ${task} of ${sessionDate} (${universe}${force ? ', forced' : ''}) already`,
    );
  }
  if (stored.refusedReason !== null) throw new RunRefusedError(`it was refused: ${stored.refusedReason}`);
  await signalManualRun(client, stored, options.callMs);
  return { isNew, request: stored };
}

/**
 * A first look in the rows, before anything is stored. The universe's members are settled at the start only: there
 * the needs are checked again.
 */
async function requireNeeds(sql: Sql, request: NewRunRequest): Promise<void> {
  const { task, sessionDate, universe, force, configHash } = request;
  if (force) return;
  const needs = await needsOf(sql, { task, universe, configHash });
  if (needs.length === 0) return;
  const done = await succeededTasks(sql, { sessionDate, universe });
  const missing = needs.filter((need) => !done.includes(need));
  if (missing.length === 0) return;
  throw new RunRefusedError(
    `${missing.join(' and ')} did not succeed for ${sessionDate} (${universe}); --force runs it anyway`,
    missing,
  );
}

async function needsOf(
  sql: Sql,
  { task, universe, configHash }: { task: Task; universe: string; configHash: string | null },
): Promise<Task[]> {
  const hash = configHash ?? (await currentConfigHash(sql, CURRENT_FILE));
  const stored = hash === null ? null : await findConfig(sql, hash);
  // Without a configuration nothing is known of needs: the start refuses it in its own words.
  if (stored === null) return [];
  const config =
    configHash === null
      ? effectiveConfig(parseStoredConfigFile(stored.body), universe)
      : parseEffectiveConfig(stored.body);
  return config.tasks[task].dependsOn;
}
