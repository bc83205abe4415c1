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
  /** One line for people about what was found and done. */
  onNote: (text: string) => void;
  onError: (text: string, error: unknown) => void;
  /** Lines about alerts; the channel `log` writes here. */
  alertLog: AlertLog;
};

/**
 * Runs reconciler, watchdog and alerts in this process. Each takes its turn under an advisory lock, so that of many
 * processes one acts. `stop` resolves when a turn that runs has ended.
 */
export function startReconciler(options: ReconcilerOptions): { stop(): Promise<void> } {
  const turns = [
    every(RECONCILE_EVERY_MS, () => reconcileTurn(options)),
    every(WATCH_EVERY_MS, () => watchTurn(options)),
    startAlerts({ ...options, log: options.alertLog }),
  ];
  return {
    stop: async () => {
      await Promise.all(turns.map((turn) => turn.stop()));
    },
  };
}

async function reconcileTurn({ client, sql, onNote, onError }: ReconcilerOptions): Promise<void> {
  try {
    const led = await withLeaderLock(sql, LEADER_LOCKS.reconciler, () => reconcile({ client, sql }));
    if (led === null) return;
    for (const { workflowId, reason } of led.result.closed)
      onNote(`closed the rows of ${workflowId}: ${reason}`);
    for (const id of led.result.signalled) onNote(`asked again for the manual run ${id}`);
    for (const id of led.result.schedules) onNote(`the pause of schedule ${id} was changed elsewhere: kept`);
  } catch (error) {
    onError('reconciler', error);
  }
}

async function watchTurn(options: ReconcilerOptions): Promise<void> {
  const { sql, onNote, onError } = options;
  try {
    const led = await withLeaderLock(sql, LEADER_LOCKS.watchdog, () => watch(options));
    if (led === null) return;
    const { started, coalesced } = led.result;
    if (started !== null)
      onNote(`started the missed night of ${started.sessionDate} (${started.workflowId})`);
    for (const { sessionDate, command } of coalesced)
      onNote(`session ${sessionDate} was missed; run it with: ${command}`);
  } catch (error) {
    onError('watchdog', error);
  }
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
