import { join } from 'node:path';
import { projectRoot } from '../../scripts/lib/paths.mjs';
import { readExchangeCalendar } from '../activities/calendar.ts';
import { effectiveConfig } from '../contracts/schemas/config.ts';
import { CalendarRangeError } from '../domain/calendar.ts';
import { readSessionTable, XNYS_CALENDAR_FILE, XNYS_TIME_ZONE } from '../providers/calendar-file.ts';
import {
  type Backfill,
  type BackfillPlan,
  BackfillRefusedError,
  datesOf,
  planBackfill,
  startBackfill,
} from '../temporal/backfill.ts';
import { configurationInForce, requireUniverse } from './configuration.ts';
import type { ApiDeps } from './deps.ts';
import { fieldProblem, Problem } from './problems.ts';

/** A year of sessions: longer ranges are asked for in parts, each with its own look at what came of it. */
export const MAX_BACKFILL_SESSIONS = 260;

export type BackfillRange = {
  from: string;
  to: string;
  /** Absent: the configuration's. */
  universe?: string | undefined;
  onlyMissing?: boolean | undefined;
};

/** What a backfill of this range would do now. Throws Problems for a range or universe that cannot be. */
export async function previewBackfill(deps: PreviewDeps, range: BackfillRange): Promise<BackfillPlan> {
  return (await planOf(deps, range)).plan;
}

type PreviewDeps = Pick<ApiDeps, 'sql' | 'coverageOf'>;

/** The plan, and what its universe is asked for by. */
async function planOf(
  { sql, coverageOf }: PreviewDeps,
  range: BackfillRange,
): Promise<{ plan: BackfillPlan; universeValue: string }> {
  const { from, to, onlyMissing = false } = range;
  if (from > to) throw fieldProblem('to', `${to} is before ${from}`);
  const file = await configurationInForce(sql);
  const asked = range.universe ?? effectiveConfig(file).universe;
  const { name: universe, value: universeValue } = await requireUniverse(file, asked);
  const { settleDelayMinutes, providers } = effectiveConfig(file, universe);
  const settleDelayMs = settleDelayMinutes * 60_000;
  const coverage = (await coverageOf?.(providers.chain)) ?? null;
  const calendar = await readExchangeCalendar({
    sql,
    sessions: () => readSessionTable(join(projectRoot, XNYS_CALENDAR_FILE)),
    timeZone: XNYS_TIME_ZONE,
  });
  const wish = { universe, from, to, onlyMissing };
  try {
    const plan = await planBackfill({ sql, wish, calendar, coverage, settleDelayMs, nowMs: Date.now() });
    const count = datesOf(plan.sessions).length;
    if (count > MAX_BACKFILL_SESSIONS)
      throw fieldProblem(
        'to',
        `${count} sessions are more than the ${MAX_BACKFILL_SESSIONS} of one backfill`,
      );
    return { plan, universeValue };
  } catch (error) {
    if (error instanceof CalendarRangeError) throw fieldProblem('from', error.message);
    throw error;
  }
}

/**
 * Begins the backfill that was shown under `token`. Throws a Problem if the range would mean other sessions by now, and
 * for what `startBackfill` refuses.
 */
export async function confirmBackfill(
  deps: Pick<ApiDeps, 'sql' | 'client' | 'coverageOf'>,
  asked: { range: BackfillRange; token: string; by: string; why: string },
): Promise<Backfill> {
  const { range, token, by, why } = asked;
  const { plan, universeValue } = await planOf(deps, range);
  if (plan.token !== token)
    throw new Problem(
      'conflict',
      'other sessions would run now than those that were shown: look at them again',
    );
  return await orConflict(() => startBackfill({ ...deps, plan, universeValue, by, why }));
}

/** What a backfill refuses is a conflict. */
export async function orConflict<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof BackfillRefusedError) throw new Problem('conflict', error.message, { cause: error });
    throw error;
  }
}
