import type { AlertSettings } from '../contracts/schemas/alert-settings.ts';
import type { Sql } from '../db/client.ts';
import {
  claimDelivery,
  type DueDelivery,
  giveUpDelivery,
  markDelivered,
  postponeDelivery,
} from '../db/queries/alert-deliveries.ts';
import { type ChannelHouse, createChannel, SEND_LIMIT_MS, sendWithin } from './channel.ts';
import { messageOf } from './message.ts';
import type { AlertLog, Channel } from './port.ts';

const FIRST_RETRY_MS = 15_000;
const LONGEST_RETRY_MS = 30 * 60_000;
/** Beyond the longest attempt: nobody else takes a message while one sends it. */
const LEASE_MS = 60_000;

export type DeliveryOptions = {
  sql: Sql;
  house: ChannelHouse;
  /** About messages that do not go out. */
  log: AlertLog;
  /** For tests: pause before the first retry, and how long one attempt may take. */
  firstRetryMs?: number;
  limitMs?: number;
};

/**
 * Sends what is due, each channel on its own: one that hangs holds up neither the others nor the caller. Any number of
 * processes may do so at once.
 */
export class Deliveries {
  readonly #options: DeliveryOptions;
  readonly #running = new Map<string, Promise<void>>();
  readonly #stopping = new AbortController();

  constructor(options: DeliveryOptions) {
    this.#options = options;
  }

  /** Begins to send to these channels, those that still send excepted. */
  kick(settings: AlertSettings, dueChannels: readonly string[]): void {
    if (this.#stopping.signal.aborted) return;
    for (const block of settings.channels) {
      const { name } = block;
      if (!dueChannels.includes(name) || this.#running.has(name)) continue;
      const channel = createChannel(block, this.#options.house);
      const work = this.#drain(channel, settings.giveUpAfterHours)
        .catch((error: unknown) => this.#warn(channel, error))
        .finally(() => this.#running.delete(name));
      this.#running.set(name, work);
    }
  }

  /** Waits for everything that is being sent now. */
  async settle(): Promise<void> {
    await Promise.all(this.#running.values());
  }

  /** Gives up attempts that run: they are made again by whoever starts next. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.settle();
  }

  async #drain(channel: Channel, giveUpAfterHours: number): Promise<void> {
    const { sql } = this.#options;
    while (!this.#stopping.signal.aborted) {
      const due = await claimDelivery(sql, { channel: channel.name, leaseMs: LEASE_MS });
      if (due === null) return;
      await this.#send(channel, due, giveUpAfterHours);
    }
  }

  async #send(channel: Channel, due: DueDelivery, giveUpAfterHours: number): Promise<void> {
    const { sql, log, limitMs = SEND_LIMIT_MS, firstRetryMs = FIRST_RETRY_MS } = this.#options;
    const { deliveryId, attempts } = due;
    try {
      await sendWithin(channel, messageOf(due), { limitMs, signal: this.#stopping.signal });
    } catch (error) {
      // Nobody refused it: the next start sends it at once.
      if (this.#stopping.signal.aborted) {
        await postponeDelivery(sql, { deliveryId, error: 'the sending process was stopped', retryMs: 0 });
        return;
      }
      const words = error instanceof Error ? error.message : 'the message did not go out';
      const about = { channel: channel.name, alertId: due.alert.alertId, kind: due.kind, attempts };
      const ageMs = Date.now() - Date.parse(due.recordedAt);
      if (ageMs > giveUpAfterHours * 3_600_000) {
        await giveUpDelivery(sql, { deliveryId, error: words });
        log('ERROR', `an alert was never delivered to ${channel.name}: ${words}`, about);
        return;
      }
      const retryMs = retryPauseMs(attempts, firstRetryMs);
      await postponeDelivery(sql, { deliveryId, error: words, retryMs });
      log('WARNING', `an alert did not reach ${channel.name}, it is sent again: ${words}`, about);
      return;
    }
    await markDelivered(sql, deliveryId);
  }

  #warn(channel: Channel, error: unknown): void {
    const words = error instanceof Error ? error.message : String(error);
    this.#options.log('WARNING', `the alerts for ${channel.name} could not be read or noted: ${words}`, {
      channel: channel.name,
    });
  }
}

/** Twice as long after each attempt, up to half an hour. */
export function retryPauseMs(attempts: number, firstMs: number = FIRST_RETRY_MS): number {
  return Math.min(LONGEST_RETRY_MS, firstMs * 2 ** Math.min(attempts - 1, 20));
}
