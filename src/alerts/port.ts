import type { AlertMessage } from './message.ts';

/** Sends one message, or rejects. Nothing of an address or a secret is in what it rejects with. */
export type Channel = {
  readonly name: string;
  send(message: AlertMessage, signal: AbortSignal): Promise<void>;
};

/** Why a message did not go out, in words of ours that may be stored and shown: no address, no secret. */
export class ChannelError extends Error {
  override readonly name = 'ChannelError';
}

/** A line of the log: level, words and what it is about. */
export type AlertLog = (
  level: 'INFO' | 'WARNING' | 'ERROR' | 'CRITICAL',
  message: string,
  fields: Record<string, unknown>,
) => void;
