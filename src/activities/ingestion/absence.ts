import type { TaskStep } from '../../contracts/activities.ts';
import type { Queryable } from '../../db/client.ts';
import { type KnownRow, readNewestKnown } from '../../db/queries/bars-known.ts';
import { nightCutoff } from '../../db/queries/sessions.ts';
import { hasLaterIngestion, readEarlierAbsences } from '../../db/queries/symbol-outcomes.ts';
import { epochDayOf, sessionDateOf } from '../../domain/bars.ts';
import {
  type Absence,
  type AbsenceFailure,
  type AbsenceSources,
  classifyAbsence,
} from '../../domain/validation/absence.ts';
import type { SymbolsRequest } from '../../providers/port.ts';
import type { FetchedSymbol } from './fetch.ts';
import { type IngestionNight, sessionsSinceBar } from './night.ts';

type AbsenceContext = {
  night: IngestionNight;
  step: TaskStep;
  request: SymbolsRequest;
  fetched: readonly FetchedSymbol[];
};

/** A symbol without a row of the session, so far. */
type Missing = {
  one: FetchedSymbol;
  lastBar: string | null;
  sessions: number;
  failure: AbsenceFailure | null;
  sources: AbsenceSources;
};

/**
 * Says of each symbol without a row of the night's session why, with what was known then: bars that came later do not
 * count. Those that have none for so long that they may be delisted are put before every source.
 */
export async function noteAbsences(sql: Queryable, context: AbsenceContext): Promise<void> {
  const { night, step } = context;
  const { sessionDate } = step;
  const day = epochDayOf(sessionDate);
  const without = context.fetched.filter(
    (one) => one.fromSession <= sessionDate && newestFetched(one, day) !== day,
  );
  if (without.length === 0) return;
  const symbols = without.map((one) => one.symbol);
  const cutoff = await nightCutoff(sql, sessionDate);
  const known = await readNewestKnown(sql, { symbols, throughSession: sessionDate, cutoff });
  const absent = without.filter((one) => known.get(one.symbol)?.newest !== sessionDate);
  if (absent.length === 0) return;
  const earlier = await readEarlier(sql, { step, symbols: absent.map((one) => one.symbol) });
  for (const one of absent) one.absence = earlier.get(one.symbol) ?? null;
  const missing = absent
    .filter((one) => one.absence === null)
    .map((one) => missingOf({ night, sessionDate, one, known: known.get(one.symbol) }));
  await askAllSources(context, missing);
  const { delistedAfterSessions } = night.config.data;
  for (const { one, ...found } of missing) {
    one.absence = classifyAbsence({ symbol: one.symbol, sessionDate, delistedAfterSessions, ...found });
  }
}

/**
 * What this night found when it ran first, if it runs again after later ones: sources know more by now. A symbol whose
 * fetch failed then is left out, so that it is found anew.
 */
async function readEarlier(
  sql: Queryable,
  { step, symbols }: { step: TaskStep; symbols: readonly string[] },
): Promise<Map<string, Absence>> {
  const { universe, sessionDate } = step;
  if (!(await hasLaterIngestion(sql, { universe, sessionDate }))) return new Map();
  return await readEarlierAbsences(sql, { universe, sessionDate, symbols });
}

/** Newest day up to `day` of which the answer has a row, whatever is in it. */
function newestFetched({ bars }: FetchedSymbol, day: number): number | null {
  if (bars?.ok !== true) return null;
  return bars.value.bars.epochDays.findLast((one) => one <= day) ?? null;
}

function missingOf(input: {
  night: IngestionNight;
  sessionDate: string;
  one: FetchedSymbol;
  known: KnownRow | undefined;
}): Missing {
  const { night, sessionDate, one, known } = input;
  const { fromSession } = one;
  const fetched = newestFetched(one, epochDayOf(sessionDate));
  const dates = [known?.newest ?? [], fetched === null ? [] : sessionDateOf(fetched)].flat().sort();
  const lastBar = dates.at(-1) ?? null;
  const sessions = sessionsSinceBar(night.calendar, { sessionDate, lastBar, fromSession });
  return { one, lastBar, sessions, ...answerOf(one, known) };
}

/** What the night's own answer says of the session. */
function answerOf(
  { bars, range }: FetchedSymbol,
  known: KnownRow | undefined,
): Pick<Missing, 'failure' | 'sources'> {
  if (bars === null && range !== null) return { failure: 'unreachable', sources: sourcesOf([], []) };
  if (bars !== null && !bars.ok) {
    const { attempts, error } = bars;
    const asked =
      attempts.length === 0 ? [error.provider] : [...new Set(attempts.map(({ provider }) => provider))];
    return { failure: failureOf(bars), sources: sourcesOf(asked, []) };
  }
  // Not asked tonight: a source said in another night that it has none.
  if (bars === null) {
    const told = known?.gapProvider == null ? [] : [known.gapProvider];
    return { failure: null, sources: sourcesOf(told, told) };
  }
  const { provenance, answeredBy = [provenance.provider], attempts = [] } = bars;
  if (answeredBy.length > 0) return { failure: null, sources: sourcesOf(answeredBy, answeredBy) };
  const asked = [...new Set([provenance.provider, ...attempts.map(({ provider }) => provider)])];
  // Who can have the session but failed may well have it: only without such a one nobody can.
  const failures = new Set(attempts.map(({ outcome }) => outcome));
  const isDown = (['transient', 'badData', 'actionRequired'] as const).some((code) => failures.has(code));
  const failure = failures.has('rateLimited') ? 'throttled' : isDown ? 'unreachable' : 'range';
  return { failure, sources: sourcesOf(asked, []) };
}

type FailedResult = NonNullable<FetchedSymbol['bars']> & { ok: false };

function failureOf({ error, attempts }: FailedResult): AbsenceFailure {
  const isCovered = attempts.length === 0 || attempts.some(({ outcome }) => outcome !== 'notCovered');
  if (!isCovered) return 'range';
  if (error.code === 'rateLimited') return 'throttled';
  return error.code === 'notFound' ? 'unknown' : 'unreachable';
}

function sourcesOf(asked: readonly string[], answered: readonly string[]): AbsenceSources {
  return { asked, answered, withBars: [] };
}

/**
 * Of symbols that may be delisted: who could have the last `delistedAfterSessions` sessions, and who has a bar there.
 * A chain's own answer does not tell: it ends with the first source that has any bar, also one of before.
 */
async function askAllSources(context: AbsenceContext, missing: readonly Missing[]): Promise<void> {
  const { night, step, request } = context;
  const { delistedAfterSessions } = night.config.data;
  const asked = missing.filter(
    ({ failure, lastBar, sessions }) =>
      failure === null && lastBar !== null && sessions >= delistedAfterSessions,
  );
  if (night.provider.barSources === undefined || asked.length === 0) return;
  const last = night.calendar.indexOf(step.sessionDate);
  const answers = await night.provider.barSources({
    ...request,
    symbols: asked.map(({ one }) => one.symbol),
    from: night.calendar.at(Math.max(0, last - (delistedAfterSessions - 1))).sessionDate,
    to: step.sessionDate,
    onProgress: undefined,
  });
  for (const [index, one] of asked.entries()) {
    const answer = answers[index];
    if (answer === undefined) continue;
    const { symbol: _symbol, ...sources } = answer;
    one.sources = sources;
  }
}
