import type { Client } from '@temporalio/client';

import { freezeConfig } from '../activities/planning/config-source.ts';
import { NIGHT_TASKS, SCHEDULE_IDS } from '../contracts/wire/names.ts';
import type { Sql } from '../db/client.ts';
import { type EventRow, insertEvents, markEventsHandled, openEvents } from '../db/queries/events.ts';
import { leftSessions, MISSED_EVENT } from '../db/queries/missed-sessions.ts';
import { listNights } from '../db/queries/nights.ts';
import { onSince } from '../db/queries/schedule-state.ts';
import type { ExchangeCalendar } from '../domain/calendar.ts';
import { expectedNights, type ExpectedNight } from '../domain/missed-sessions.ts';
import { nightHasWork } from '../domain/night-work.ts';
import { type RunHandle, startNight } from '../temporal/verbs.ts';

export type WatchDeps = {
  client: Client;
  /** Logged in as the pipeline role. */
  sql: Sql;
  /** The exchange calendar with the corrections people made. */
  calendar: () => Promise<ExchangeCalendar>;
  /** Range that a provider chain can have; null = open. */
  coverage: (
    chain: readonly string[],
  ) => Promise<{ firstSession: string | null; lastSession: string | null }>;
  /** Name under which nights of a universe are stored. */
  universeName: (nameOrFile: string) => Promise<string>;
  /** End of commands for people: ` --data-dir DIR` where it is not the default folder. */
  folderOption?: string;
  /** Wall clock in ms. */
  now?: () => number;
};

export type MissedNight = ExpectedNight & {
  universe: string;
  /** What a person types to run it. */
  command: string;
};

/**
 * Sessions that the schedule should have run since it was switched on, or since its last pause ended, and of
 * which no night is recorded, newest first, but those that a person has left. None while the schedule is paused on purpose.
 */
export async function missedNights(deps: WatchDeps): Promise<MissedNight[]> {
  const { sql } = deps;
  const since = await onSince(sql, SCHEDULE_IDS.nightly);
  if (since === null) return [];
  const { config } = await freezeConfig(sql, undefined);
  if (!nightHasWork(NIGHT_TASKS, config.tasks)) return [];
  const universe = await deps.universeName(config.universe);
  const expected = expectedNights({
    calendar: await deps.calendar(),
    schedule: config.tasks.ingestion,
    timezone: config.timezone,
    coverage: await deps.coverage(config.providers.chain),
    enabledSinceMs: Date.parse(since),
    graceMs: config.misfireGraceTimeMs,
    maxSessionsBack: config.watchdog.maxSessionsBack,
    cutoff: config.watchdog.cutoff,
    nowMs: deps.now?.() ?? Date.now(),
  });
  const left = await leftSessions(sql);
  const isLeft = (sessionDate: string): boolean =>
    left.some((one) => one.sessionDate === sessionDate && one.universe === config.universe);
  const missed: MissedNight[] = [];
  for (const night of expected) {
    if (isLeft(night.sessionDate)) continue;
    if (await isRecorded(sql, { sessionDate: night.sessionDate, universe })) continue;
    const folder = deps.folderOption ?? '';
    const command = `nightshift nightly --session ${night.sessionDate} --universe ${config.universe}${folder}`;
    missed.push({ ...night, universe: config.universe, command });
  }
  return missed;
}

/** A failed or cancelled night was not missed: somebody knows of it. */
async function isRecorded(sql: Sql, night: { sessionDate: string; universe: string }): Promise<boolean> {
  const rows = await listNights(sql, night);
  return rows.some((row) => row.state !== 'no_session' && row.state !== 'skipped');
}

/** Closes what was reported as missed and has been run since. */
async function closeHandled({ sql, universeName }: WatchDeps, open: readonly EventRow[]): Promise<void> {
  const eventIds: number[] = [];
  for (const { eventId, subject, sessionDate } of open) {
    const universe = await universeName(subject).catch(() => subject);
    if (sessionDate !== null && (await isRecorded(sql, { sessionDate, universe }))) eventIds.push(eventId);
  }
  if (eventIds.length > 0) await markEventsHandled(sql, { eventIds, handledBy: 'watchdog' });
}

export type WatchReport = {
  /** The newest missed night, if it could still be started. */
  started: (RunHandle & { sessionDate: string }) | null;
  /** Missed nights that nobody will start by themselves, reported for the first time. */
  coalesced: MissedNight[];
};

/** Starts the newest missed night until its cut-off; the rest is recorded once and left to a person. */
export async function watch(deps: WatchDeps): Promise<WatchReport> {
  const nowMs = deps.now?.() ?? Date.now();
  const missed = await missedNights(deps);
  const [newest] = missed;
  let started: WatchReport['started'] = null;
  if (newest !== undefined && nowMs < newest.cutoffMs) {
    const { sessionDate, universe } = newest;
    const run = await startNight(deps.client, { trigger: 'watchdog', sessionDate, universe });
    started = { ...run, sessionDate };
  }
  const rest = missed.filter((night) => night.sessionDate !== started?.sessionDate);
  const open = await openEvents(deps.sql, MISSED_EVENT);
  await closeHandled(deps, open);
  const known = new Set(open.map((event) => `${event.subject} ${event.sessionDate}`));
  const coalesced = rest.filter((night) => !known.has(`${night.universe} ${night.sessionDate}`));
  await insertEvents(
    deps.sql,
    coalesced.map(({ universe, sessionDate, command, nominalMs }) => ({
      kind: MISSED_EVENT,
      subject: universe,
      sessionDate,
      details: { command, coalesced: true, nominal: new Date(nominalMs).toISOString() },
      taskRunId: null,
    })),
  );
  return { started, coalesced };
}
