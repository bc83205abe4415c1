import { setTimeout as sleep } from 'node:timers/promises';

import { currentFile, hasConfiguration } from '../activities/planning/config-source.ts';
import { Deliveries, type DeliveryOptions } from '../alerts/deliver.ts';
import { AlertEvaluator } from '../alerts/evaluate.ts';
import type { AlertLog } from '../alerts/port.ts';
import { alertSettings } from '../contracts/schemas/config.ts';
import type { AlertSettings } from '../contracts/schemas/alert-settings.ts';
import { alertPulse } from '../db/queries/alert-deliveries.ts';
import { readProcessBeats } from '../db/queries/liveness.ts';
import { LEADER_LOCKS, withLeaderLock } from '../db/queries/reconcile.ts';
import { readNamedVariable } from '../runtime/env.ts';
import { queueServices } from '../temporal/pollers.ts';
import { missedNights, type WatchDeps } from './watchdog.ts';

const EVALUATE_EVERY_MS = 30_000;
/** How soon the end of a night is noticed, and how late a message goes out at most. */
const PULSE_MS = 2_000;

export type AlertsOptions = WatchDeps & {
  log: AlertLog;
  /** For tests: other pauses, and variables of their own. */
  pulseMs?: number;
  readVariable?: (name: string) => string | null;
} & Pick<DeliveryOptions, 'firstRetryMs' | 'limitMs'>;

/**
 * Finds out every 30 seconds, and right after a night has ended, what a person should know, in one process at a time;
 * sends what is due all the while. `stop` resolves when nothing is under way any more.
 */
export function startAlerts(options: AlertsOptions): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const loop = run(options, stopping.signal);
  return {
    stop: async () => {
      stopping.abort();
      await loop;
    },
  };
}

async function run(options: AlertsOptions, stopped: AbortSignal): Promise<void> {
  const { sql, log, firstRetryMs, limitMs } = options;
  const evaluator = createEvaluator(options);
  const deliveries = new Deliveries({
    sql,
    log,
    house: { log, readVariable: options.readVariable ?? readNamedVariable },
    ...(firstRetryMs === undefined ? {} : { firstRetryMs }),
    ...(limitMs === undefined ? {} : { limitMs }),
  });
  let settings: AlertSettings | null = null;
  let evaluatedMs = Number.NEGATIVE_INFINITY;
  let nightEnd: string | null = null;
  while (!stopped.aborted) {
    try {
      let pulse = await alertPulse(sql);
      if (pulse.lastNightEnd !== nightEnd || performance.now() - evaluatedMs >= EVALUATE_EVERY_MS) {
        const current = await readSettings(options);
        settings = current;
        if (current !== null) {
          await withLeaderLock(sql, LEADER_LOCKS.alerts, () => evaluator.evaluate(current));
          evaluatedMs = performance.now();
          nightEnd = pulse.lastNightEnd;
          pulse = await alertPulse(sql);
        }
      }
      if (settings !== null) deliveries.kick(settings, pulse.dueChannels);
    } catch (error) {
      log('WARNING', `alerts could not be judged or sent: ${wordsOf(error)}`, {});
    }
    await sleep(options.pulseMs ?? PULSE_MS, undefined, { signal: stopped }).catch(() => undefined);
  }
  await deliveries.stop();
}

/** What the reconciler's surroundings tell the rules. */
export function createEvaluator(options: WatchDeps & Pick<AlertsOptions, 'log'>): AlertEvaluator {
  const { sql, client, log, now } = options;
  return new AlertEvaluator({
    sql,
    onError: (text, error) => log('WARNING', `${text}: ${wordsOf(error)}`, {}),
    ...(now === undefined ? {} : { now }),
    services: async () => queueServices(client, await readProcessBeats(sql)),
    missed: () => missedNights(options),
  });
}

/** The configuration in force; null before the first one. */
async function readSettings({ sql }: WatchDeps): Promise<AlertSettings | null> {
  return (await hasConfiguration(sql)) ? alertSettings(await currentFile(sql)) : null;
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
