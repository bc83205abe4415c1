import type { NightState } from '../../contracts/wire/names.ts';
import type { MarkName } from './marks.tsx';

export type Tone = 'ok' | 'run' | 'queued' | 'wait' | 'fail' | 'skip';

/** How a state looks: a mark and words, so that its colour is never the only sign. */
export type Look = { tone: Tone; mark: MarkName; label: string };

const LOOKS: Readonly<Record<NightState, Look>> = {
  pending: { tone: 'skip', mark: 'circle', label: 'pending' },
  waiting: { tone: 'queued', mark: 'clock', label: 'waiting' },
  running: { tone: 'run', mark: 'play', label: 'running' },
  succeeded: { tone: 'ok', mark: 'check', label: 'succeeded' },
  failed: { tone: 'fail', mark: 'cross', label: 'failed' },
  skipped: { tone: 'skip', mark: 'skip', label: 'skipped' },
  awaiting_review: { tone: 'wait', mark: 'question', label: 'waits for you' },
  cancelled: { tone: 'skip', mark: 'square', label: 'cancelled' },
  disabled: { tone: 'skip', mark: 'minus', label: 'disabled' },
  partial: { tone: 'wait', mark: 'half', label: 'partial' },
  no_session: { tone: 'skip', mark: 'dot', label: 'no session' },
};
const ATTEMPT_LOOKS: Readonly<Record<string, Look>> = {
  timed_out: { tone: 'fail', mark: 'glass', label: 'timed out' },
  superseded: { tone: 'skip', mark: 'skip', label: 'superseded' },
};
const UNKNOWN: Look = { tone: 'skip', mark: 'dot', label: 'unknown' };

/** The look of a night's, a task's or an attempt's state. */
export function lookOf(state: string): Look {
  const known = Object.entries(LOOKS).find(([name]) => name === state)?.[1] ?? ATTEMPT_LOOKS[state];
  return known ?? { ...UNKNOWN, label: state };
}
