import type { SessionDate } from '../bars.ts';

/**
 * Why a symbol has no bar on a session. Only the last one says that it is gone, and nothing acts on it:
 * - `throttled`: rate limited, nobody answered;
 * - `range`: no source that knows the symbol can have the session;
 * - `unknown`: no source knows the symbol;
 * - `unreachable`: the answer failed (transient, bad data, a person is needed, none at all);
 * - `neverSeen`: no bar of it was ever there, so it may not be listed yet;
 * - `halted`: a source knows the symbol and has no bar, for too few sessions or by too few sources to say more;
 * - `delisted`: that for `delistedAfterSessions` sessions, by two sources that could have them, with none against it.
 */
export type AbsenceClass =
  | 'throttled'
  | 'range'
  | 'unknown'
  | 'unreachable'
  | 'neverSeen'
  | 'halted'
  | 'delisted';

/** As people read them, the rarest and gravest first. */
export const ABSENCE_WORDS: Readonly<Record<AbsenceClass, string>> = {
  delisted: 'delisted',
  halted: 'halted',
  throttled: 'throttled',
  unreachable: 'unreachable',
  unknown: 'unknown',
  range: 'out of range',
  neverSeen: 'not seen yet',
};

/** Why there is no answer that could tell anything of the session. */
export type AbsenceFailure = Extract<AbsenceClass, 'throttled' | 'range' | 'unknown' | 'unreachable'>;

/** What sources say of the sessions without a bar. */
export interface AbsenceSources {
  /** Asked, as far as they could have the sessions; of a failure all that were asked. */
  readonly asked: readonly string[];
  /** Of those: who answered, and who of them has a bar in these sessions. */
  readonly answered: readonly string[];
  readonly withBars: readonly string[];
}

export interface Absence {
  readonly class: AbsenceClass;
  /** Sessions without a bar, up to the night's and including it. */
  readonly sessions: number;
  /** Date of the newest bar; null: there was none. */
  readonly lastBar: SessionDate | null;
  readonly sources: AbsenceSources;
  /** One sentence for people. */
  readonly words: string;
}

export interface AbsenceInput {
  readonly symbol: string;
  readonly sessionDate: SessionDate;
  readonly sessions: number;
  readonly lastBar: SessionDate | null;
  /** Null: a source that can have the session answered and has no bar. */
  readonly failure: AbsenceFailure | null;
  readonly sources: AbsenceSources;
  readonly delistedAfterSessions: number;
}

/** How many sources have to agree before a symbol is called delisted. */
const DELISTED_SOURCES = 2;

/** Classifies a symbol without a bar on a session, with the reason in words. */
export function classifyAbsence(input: AbsenceInput): Absence {
  const { symbol, sessionDate, sessions, lastBar, sources, failure } = input;
  const doubt = failure === null ? whyNotDelisted(input) : null;
  const found = failure ?? (lastBar === null ? 'neverSeen' : doubt === null ? 'delisted' : 'halted');
  const since =
    `no bar for ${sessions} ${sessions === 1 ? 'session' : 'sessions'} up to ${sessionDate}, ` +
    (lastBar === null ? 'and none before' : `the last one is of ${lastBar}`);
  const asked = sources.asked.length === 0 ? 'no source was asked' : `asked: ${sources.asked.join(', ')}`;
  const words = `${symbol} is ${ABSENCE_WORDS[found]}: ${since}; ${asked}${tailOf(found, doubt, sources)}`;
  return { class: found, sessions, lastBar, sources, words };
}

/** Null: nothing speaks against it. Empty: it has not been long enough. */
function whyNotDelisted({ sessions, sources, delistedAfterSessions }: AbsenceInput): string | null {
  if (sessions < delistedAfterSessions) return '';
  const { asked, answered, withBars } = sources;
  if (withBars.length > 0) {
    return `${withBars.join(' and ')} ${withBars.length === 1 ? 'has' : 'have'} bars in these sessions`;
  }
  if (answered.length >= DELISTED_SOURCES) return null;
  const silent = asked.filter((source) => !answered.includes(source));
  if (silent.length > 0) return `${silent.join(' and ')} did not answer`;
  return `that takes ${DELISTED_SOURCES} sources that could have the sessions and agree`;
}

/** What the class rests on, or why it is not another one. */
const TAILS: Readonly<Record<Exclude<AbsenceClass, 'halted' | 'delisted'>, string>> = {
  throttled: '; rate limited, which says nothing about the symbol',
  range: '; none that knows the symbol can have the session',
  unknown: '; none knows the symbol, which is no proof that it was delisted',
  unreachable: '; none gave an answer that can be used',
  neverSeen: '; it may not be listed yet',
};

function tailOf(found: AbsenceClass, doubt: string | null, { answered }: AbsenceSources): string {
  if (found === 'delisted') return `; ${answered.join(' and ')} agree`;
  if (found !== 'halted') return TAILS[found];
  return doubt === null || doubt === '' ? '' : `; not called delisted: ${doubt}`;
}
