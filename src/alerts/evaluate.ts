import type { AlertSettings } from '../contracts/schemas/alert-settings.ts';
import type { Sql } from '../db/client.ts';
import { giveUpUnknownChannels } from '../db/queries/alert-deliveries.ts';
import {
  type AlertChange,
  alertsEnabledSince,
  openAlertTimes,
  storeAlerts,
} from '../db/queries/alert-rows.ts';
import {
  readAttemptFacts,
  readFailedRunFacts,
  readMissedEvents,
  readNightFacts,
  readPauseFacts,
  readResultFacts,
  readReviewFacts,
} from '../db/queries/alerts.ts';
import { type AlertThresholds, judgeAlerts, type MissedFact, type QueueFact } from '../domain/alert-rules.ts';
import type { QueueService } from '../temporal/pollers.ts';
import { channelsFor } from './channel.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

export type EvaluationDeps = {
  /** Logged in as the pipeline role. */
  sql: Sql;
  /** Sessions that nobody has run, as the watchdog finds them. */
  missed: () => Promise<MissedFact[]>;
  /** Who serves each task queue, and when a worker of it was last heard of. */
  services: () => Promise<QueueService[]>;
  /** About facts that could not be had. */
  onError: (text: string, error: unknown) => void;
  /** Wall clock in ms. */
  now?: () => number;
};

/** Reads the facts, applies the rules and makes the rows follow; one evaluator per process. */
export class AlertEvaluator {
  readonly #deps: EvaluationDeps;
  /** Since when a queue is silent, as far as this process has seen it. */
  readonly #silentSince = new Map<string, number>();
  /** Silence before it is that of a machine that was off. */
  readonly #startedMs: number;

  constructor(deps: EvaluationDeps) {
    this.#deps = deps;
    this.#startedMs = this.#nowMs();
  }

  async evaluate(settings: AlertSettings): Promise<AlertChange> {
    const { sql } = this.#deps;
    const nowMs = this.#nowMs();
    const enabledSinceMs = await alertsEnabledSince(sql);
    const missed = await this.#missed();
    const thresholds = thresholdsOf(settings);
    const queues = await this.#queues(nowMs, thresholds.queueSilentMs);
    const nights = await readNightFacts(sql);
    const attempts = await readAttemptFacts(sql);
    const failedRuns = await readFailedRunFacts(sql);
    const reviews = await readReviewFacts(sql);
    const pauses = await readPauseFacts(sql);
    const results = await readResultFacts(sql);
    const rows = { nights, attempts, failedRuns, reviews, pauses, ...results };
    const facts = { nowMs, enabledSinceMs, missed, queues, ...rows };
    const { alerts, unknown } = judgeAlerts(facts, thresholds);
    const { channels } = settings;
    const change = await storeAlerts(sql, {
      alerts,
      unknown,
      channelsOf: (alert) => channelsFor(channels, alert),
    });
    await giveUpUnknownChannels(
      sql,
      channels.map(({ name }) => name),
    );
    return change;
  }

  #nowMs(): number {
    return this.#deps.now?.() ?? Date.now();
  }

  /** What the watchdog finds now, and what it reported before and is too far back for it; null: not known. */
  async #missed(): Promise<MissedFact[] | null> {
    try {
      const now = await this.#deps.missed();
      const seen = new Set(now.map(({ universe, sessionDate }) => `${universe} ${sessionDate}`));
      const earlier = await readMissedEvents(this.#deps.sql);
      return [
        ...now,
        ...earlier.filter(({ universe, sessionDate }) => !seen.has(`${universe} ${sessionDate}`)),
      ];
    } catch (error) {
      this.#deps.onError('alerts: missed nights are not known', error);
      return null;
    }
  }

  async #queues(nowMs: number, queueSilentMs: number): Promise<QueueFact[] | null> {
    try {
      const queues = await this.#deps.services();
      // After a restart an open alert tells that the silence is older than this process.
      const open = await openAlertTimes(this.#deps.sql, 'queue_unpolled');
      return queues.map(({ queue, workers, heardMs }) => {
        if (workers.length > 0) this.#silentSince.delete(queue);
        else if (!this.#silentSince.has(queue))
          this.#silentSince.set(queue, Math.max(this.#startedMs, Math.min(nowMs, heardMs ?? nowMs)));
        const seenMs = this.#silentSince.get(queue) ?? null;
        const openedMs = open.get(`queue_unpolled/${queue}`);
        const silentSinceMs =
          seenMs === null || openedMs === undefined ? seenMs : Math.min(seenMs, openedMs - queueSilentMs);
        return { queue, silentSinceMs };
      });
    } catch (error) {
      this.#deps.onError('alerts: workers are not known', error);
      return null;
    }
  }
}

/** The thresholds of a configuration, in ms. */
export function thresholdsOf(settings: AlertSettings): AlertThresholds {
  return {
    nightLateMs: settings.nightLateMinutes * MINUTE_MS,
    nightMissedMs: settings.nightMissedMinutes * MINUTE_MS,
    reviewSoonMs: settings.reviewExpiringMinutes * MINUTE_MS,
    coverageRatio: settings.coverageRatio,
    schedulePausedMs: settings.schedulePausedHours * HOUR_MS,
    queueSilentMs: settings.queueSilentSeconds * 1000,
  };
}
