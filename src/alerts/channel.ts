import type { ChannelSettings } from '../contracts/schemas/alert-settings.ts';
import { createLogChannel } from './log-channel.ts';
import type { AlertMessage } from './message.ts';
import { type AlertLog, type Channel, ChannelError } from './port.ts';
import { createSlackChannel } from './slack.ts';
import { createSmtpChannel } from './smtp.ts';
import { createWebhookChannel } from './webhook.ts';

/** One attempt takes no longer, whatever the other side does. */
export const SEND_LIMIT_MS = 8_000;

export type ChannelHouse = {
  /** A variable by its name; null: not set. Read at each message, so that a new secret needs no restart of ours. */
  readVariable: (name: string) => string | null;
  log: AlertLog;
};

/** The channel of a block of the configuration. What it needs from the environment is asked for when it sends. */
export function createChannel(settings: ChannelSettings, house: ChannelHouse): Channel {
  const secret = (name: string): string => {
    const value = house.readVariable(name);
    if (value === null) throw new ChannelError(`the environment variable ${name} is not set`);
    return value;
  };
  switch (settings.type) {
    case 'webhook':
      return createWebhookChannel(settings, secret);
    case 'slack':
      return createSlackChannel(settings, secret);
    case 'smtp':
      return createSmtpChannel(settings, secret);
    default:
      return createLogChannel(settings.name, house.log);
  }
}

/** Channels that want alerts of this rule and severity. */
export function channelsFor(
  channels: readonly ChannelSettings[],
  alert: { rule: string; severity: string },
): string[] {
  const wants = (list: readonly string[] | undefined, value: string): boolean =>
    list === undefined || list.includes(value);
  return channels
    .filter(({ rules, severities }) => wants(rules, alert.rule) && wants(severities, alert.severity))
    .map(({ name }) => name);
}

/**
 * Sends through a channel within the limit. Rejects with a ChannelError whose words are ours: what a library or the
 * other side says may hold addresses and secrets.
 */
export async function sendWithin(
  channel: Channel,
  message: AlertMessage,
  options: { limitMs?: number; signal?: AbortSignal } = {},
): Promise<void> {
  const limitMs = options.limitMs ?? SEND_LIMIT_MS;
  const ending = new AbortController();
  const stop = (): void => ending.abort();
  options.signal?.addEventListener('abort', stop, { once: true });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new ChannelError(`no answer within ${limitMs / 1000} s`));
      stop();
    }, limitMs);
  });
  try {
    const sent = (async () => channel.send(message, ending.signal))();
    // Whoever loses the race must not become an unhandled rejection.
    sent.catch(() => undefined);
    await Promise.race([sent, late]);
  } catch (error) {
    throw error instanceof ChannelError ? error : new ChannelError(wordsOf(error));
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', stop);
  }
}

/** The code of an error (`ECONNREFUSED`), or of its cause: nothing of its text. */
function wordsOf(error: unknown): string {
  for (let one: unknown = error; one instanceof Error; one = one.cause) {
    if (one.name === 'AbortError') return 'the sending process was stopped';
    if ('code' in one && typeof one.code === 'string' && /^[A-Z][A-Z0-9_]{2,60}$/.test(one.code))
      return `the connection failed: ${one.code}`;
  }
  return 'the connection failed';
}
