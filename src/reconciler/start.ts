import { setTimeout as sleep } from 'node:timers/promises';

import type { Client } from '@temporalio/client';

import type { Sql } from '../db/client.ts';
import { LEADER_LOCKS, withLeaderLock } from '../db/queries/reconcile.ts';
import type { AlertLog } from '../alerts/port.ts';
import { startAlerts } from './alerts.ts';
import { reconcile } from './reconcile.ts';
import { watch, type WatchDeps } from './watchdog.ts';

const RECONCILE_EVERY_MS = 30_000;
const WATCH_EVERY_MS = 60_000;

export type ReconcilerOptions = WatchDeps & {
  client: Client;
  sql: Sql;
  /** What was found and done, and what could not be; the alert channel `log` writes here too. */
  log: ReconcilerLog;
};

export type ReconcilerPart = 'reconciler' | 'watchdog' | 'alerts';
export type ReconcilerLog = (part: ReconcilerPart, ...line: Parameters<AlertLog>) => void;

/**
 * Runs reconciler, watchdog and alerts in this process. Each takes its turn under an advisory lock, so that of many
 * processes one acts. `stop` resolves when a turn that runs has ended.
 */
export function startReconciler(options: ReconcilerOptions): { stop(): Promise<void> } {
  const { log, ...deps } = options;
  const logOf =
    (part: ReconcilerPart): AlertLog =>
    (...line) =>
      log(part, ...line);
  const turns = [
    every(RECONCILE_EVERY_MS, () => reconcileTurn(deps, logOf('reconciler'))),
    every(WATCH_EVERY_MS, () => watchTurn(deps, logOf('watchdog'))),
    startAlerts({ ...deps, log: logOf('alerts') }),
  ];
  return {
    stop: async () => {
      await Promise.all(turns.map((turn) => turn.stop()));
    },
  };
}

async function reconcileTurn(
  { client, sql }: Pick<WatchDeps, 'client' | 'sql'>,
  log: AlertLog,
): Promise<void> {
  try {
    const led = await withLeaderLock(sql, LEADER_LOCKS.reconciler, () => reconcile({ client, sql }));
    if (led === null) return;
    const { closed, signalled, refused, schedules } = led.result;
    for (const { workflowId, reason, taskRunId, ...ids } of closed)
      log('WARNING', `closed the rows of ${workflowId}: ${reason}`, {
        ...ids,
        ...(taskRunId === null ? {} : { taskRunId }),
      });
    for (const { reason, ...ids } of refused)
      log('WARNING', `the run ${ids.taskRunId} ended before it was planned: ${reason}`, ids);
    for (const ids of signalled) log('INFO', `asked again for the manual run ${ids.taskRunId}`, ids);
    for (const scheduleId of schedules)
      log('INFO', `the pause of schedule ${scheduleId} was changed elsewhere: kept`, { scheduleId });
  } catch (error) {
    log('WARNING', `could not look for runs that are gone: ${wordsOf(error)}`, {});
  }
}

async function watchTurn(deps: WatchDeps, log: AlertLog): Promise<void> {
  try {
    const led = await withLeaderLock(deps.sql, LEADER_LOCKS.watchdog, () => watch(deps));
    if (led === null) return;
    const { started, coalesced } = led.result;
    if (started !== null) {
      const { workflowId, runId, sessionDate } = started;
      log('WARNING', `started the missed night of ${sessionDate} (${workflowId})`, { runId, sessionDate });
    }
    for (const { sessionDate, command } of coalesced)
      log('WARNING', `session ${sessionDate} was missed; run it with: ${command}`, { sessionDate });
  } catch (error) {
    log('WARNING', `could not look for missed sessions: ${wordsOf(error)}`, {});
  }
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Runs `turn` now and again `pauseMs` after each end. */
function every(pauseMs: number, turn: () => Promise<void>): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const loop = (async () => {
    while (!stopping.signal.aborted) {
      await turn();
      await sleep(pauseMs, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  })();
  return {
    stop: async () => {
      stopping.abort();
      await loop;
    },
  };
}
