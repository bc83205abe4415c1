import type { NightState } from './wire/names.ts';

/** Nights of many sessions, one after the other. Types only: workflows import them. */

export type BackfillInput = {
  universe: string;
  /** In their order, each once. */
  sessions: string[];
  requestedBy: string;
};

export type BackfillState = 'running' | 'succeeded' | 'partial' | 'failed' | 'cancelled';

export type BackfillNight = { sessionDate: string; state: NightState; reason: string | null };
export type BackfillResult = { universe: string; state: BackfillState; nights: BackfillNight[] };

/** What its memo says of how far it is; the memo of its start says what was asked for. */
export type BackfillProgressMemo = {
  state: BackfillState;
  /** Nights that have ended. */
  ended: number;
  /** Session of the night that runs; null between two nights, and at the end. */
  current: string | null;
};
