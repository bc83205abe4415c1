import { join } from 'node:path';
import { projectRoot } from '../../scripts/lib/paths.mjs';
import { readExchangeCalendar } from '../activities/calendar.ts';
import { type ConfigFile, effectiveConfig, knownUniverses } from '../contracts/schemas/config.ts';
import type { Sql } from '../db/client.ts';
import { findNewestUniverse } from '../db/queries/nights.ts';
import { findTaskResult } from '../db/queries/task-results.ts';
import { CalendarRangeError } from '../domain/calendar.ts';
import { nightSession } from '../domain/night-session.ts';
import { readSessionTable, XNYS_CALENDAR_FILE, XNYS_TIME_ZONE } from '../providers/calendar-file.ts';
import { readUniverse, UNIVERSES_FOLDER } from '../providers/universe-file.ts';
import type { BackfillCoverage } from '../temporal/backfill.ts';

/** What a run by hand is about when the person does not say: the same for API, pages and command line. */

/** A universe: `value` is what runs are asked for, a name or a file; `name` is what rows call it. */
export type MeantUniverse = { value: string; name: string };

/** No session can be meant. */
export class NoSessionError extends Error {
  override name = 'NoSessionError';
}

/** Everybody who plans knows this of a source that says nothing of its ends. */
const OPEN_COVERAGE: BackfillCoverage = { provider: 'the source', firstSession: null, lastSession: null };

/** Rows have the name of a universe, also where a file was given. What cannot be read the start refuses in words. */
export async function nameOfUniverse(nameOrFile: string): Promise<string> {
  const bundledFolder = join(projectRoot, UNIVERSES_FOLDER);
  const definition = await readUniverse({ nameOrFile, bundledFolder }).catch(() => null);
  return definition?.name ?? nameOrFile;
}

/** The configured universe. */
async function configuredUniverse(file: ConfigFile): Promise<MeantUniverse> {
  const { universe } = effectiveConfig(file);
  return { value: universe, name: await nameOfUniverse(universe) };
}

/** A universe by the name that rows or the configuration have for it; null for one that the configuration does not know. */
export async function findUniverse(file: ConfigFile, asked: string): Promise<MeantUniverse | null> {
  const configured = await configuredUniverse(file);
  if (asked === configured.name || asked === configured.value) return configured;
  return knownUniverses(file).includes(asked) ? { value: asked, name: asked } : null;
}

/** That of the newest night that ran, if the configuration knows it; else the configured one. */
export async function usualUniverse(sql: Sql, file: ConfigFile): Promise<MeantUniverse> {
  const newest = await findNewestUniverse(sql);
  const found = newest === null ? null : await findUniverse(file, newest);
  return found ?? (await configuredUniverse(file));
}

/**
 * The newest session that is closed, settled and there to be had, as a night without a session means it. Where the
 * providers cannot be asked, the newest one that came in counts. Throws NoSessionError.
 */
export async function newestSession(options: {
  sql: Sql;
  file: ConfigFile;
  /** Name of the universe. */
  universe: string;
  /** What the providers of a chain can have; null: they do not say now. Absent: nobody can be asked. */
  coverageOf?: ((chain: readonly string[]) => Promise<BackfillCoverage | null>) | undefined;
  nowMs?: number;
}): Promise<string> {
  const { sql, file, universe, coverageOf, nowMs = Date.now() } = options;
  const { providers, settleDelayMinutes, tasks, timezone } = effectiveConfig(file, universe);
  const coverage = (await coverageOf?.(providers.chain)) ?? null;
  const ingested = coverage === null ? await findTaskResult(sql, { task: 'ingestion', universe }) : null;
  if (ingested !== null) return ingested.sessionDate;
  const calendar = await readExchangeCalendar({
    sql,
    sessions: () => readSessionTable(join(projectRoot, XNYS_CALENDAR_FILE)),
    timeZone: XNYS_TIME_ZONE,
  });
  try {
    const session = nightSession({
      explicit: undefined,
      nominalMs: null,
      schedule: tasks.ingestion,
      timezone,
      calendar,
      settleDelayMs: settleDelayMinutes * 60_000,
      coverage: coverage ?? OPEN_COVERAGE,
      nowMs,
    });
    if (session.outcome === 'session') return session.sessionDate;
    throw new NoSessionError(`no session is the newest one: ${session.reason}`);
  } catch (error) {
    if (error instanceof CalendarRangeError) throw new NoSessionError(error.message, { cause: error });
    throw error;
  }
}
