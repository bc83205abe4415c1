import type { SessionOverrideInput, SessionOverrideResult } from '../../contracts/decisions.ts';
import type { Tx } from '../../db/client.ts';
import { insertEvents } from '../../db/queries/events.ts';
import { insertAudit } from '../../db/queries/requests.ts';
import {
  lockSessionOverride,
  readCalendarOverrides,
  removeSessionOverride,
  saveSessionOverride,
  type SessionOverrideRow,
  storeSessions,
} from '../../db/queries/sessions.ts';
import { CalendarRangeError, createCalendar, type ExchangeSession } from '../../domain/calendar.ts';
import { instantOf } from '../../domain/schedule-times.ts';
import { XNYS_TIME_ZONE } from '../../providers/calendar-file.ts';
import { failure } from '../errors.ts';
import type { DecisionDeps } from './deps.ts';
import { requireNamed } from './named.ts';

type Input = SessionOverrideInput & { workflowId: string };
type NewOverride = Pick<SessionOverrideRow, 'sessionDate' | 'kind' | 'openAt' | 'closeAt'>;

/**
 * Corrects one date of the exchange calendar, or takes a correction back, in one transaction with its audit row and
 * an event for what was made with the old hours. The same change again gives the answer of the first. Fails with
 * AlreadyDecided where another correction stands, with InvalidInput where the change makes no calendar.
 */
export async function overrideSession(deps: DecisionDeps, input: Input): Promise<SessionOverrideResult> {
  requireNamed(input);
  const file = await deps.sessions();
  const known = file.find(({ sessionDate }) => sessionDate === input.sessionDate) ?? null;
  return await deps.db.sql.begin(async (tx) => {
    // An early close takes its open from the stored calendar, which an empty database does not have yet.
    await storeSessions(tx, file);
    const before = await lockSessionOverride(tx, input.sessionDate);
    if (input.change === 'remove') return await remove(tx, { input, before, known });
    const wanted = overrideOf(input, known);
    if (before !== null && before.removedAt === null) {
      if (isSame(before, wanted)) return resultOf(before, known);
      throw failure(
        'AlreadyDecided',
        `${input.sessionDate} is ${words(before, known)} by ${before.decidedBy}: ${before.reason}; remove that first`,
      );
    }
    const { by, why } = input;
    await saveSessionOverride(tx, { ...wanted, reason: why, decidedBy: by });
    await requireCalendar(tx, file);
    return await record(tx, { input, known, from: sessionWords(known) });
  });
}

async function remove(
  tx: Tx,
  context: { input: Input; before: SessionOverrideRow | null; known: ExchangeSession | null },
): Promise<SessionOverrideResult> {
  const { input, before, known } = context;
  if (before === null) throw failure('InvalidInput', `no override of ${input.sessionDate} to remove`);
  if (before.removedAt !== null) return resultOf(before, known);
  await removeSessionOverride(tx, input);
  return await record(tx, { input, known, from: words(before, known) });
}

/** Audit row and event of a change that has been made; the answer is what is stored now. */
async function record(
  tx: Tx,
  context: { input: Input; known: ExchangeSession | null; from: string },
): Promise<SessionOverrideResult> {
  const { input, known, from } = context;
  const after = await lockSessionOverride(tx, input.sessionDate);
  if (after === null) throw new Error(`the override of ${input.sessionDate} is gone`);
  const to = after.removedAt === null ? words(after, known) : sessionWords(known);
  await insertAudit(tx, {
    actor: input.by,
    action: input.change === 'remove' ? 'calendar.remove' : 'calendar.override',
    subject: input.sessionDate,
    why: input.why,
    details: { from, to, workflowId: input.workflowId },
  });
  // Hours are read anew by every night; what was made goes wrong only where a session comes or goes.
  if ((from === CLOSED) !== (to === CLOSED)) {
    await insertEvents(tx, [
      {
        kind: 'session.changed',
        subject: input.sessionDate,
        sessionDate: input.sessionDate,
        details: { from, to, by: input.by },
        taskRunId: input.workflowId,
      },
    ]);
  }
  return resultOf(after, known);
}

const CLOCK = /^([01]\d|2[0-3]):([0-5]\d)$/;

function overrideOf(input: Input, known: ExchangeSession | null): NewOverride {
  const { sessionDate, change } = input;
  if (change === 'closed') {
    if (known === null)
      throw failure('InvalidInput', `${sessionDate} is no session: there is nothing to close`);
    return { sessionDate, kind: 'closed', openAt: null, closeAt: null };
  }
  const closeMs = instantOn(input, 'close') ?? known?.closeMs;
  const openMs = instantOn(input, 'open') ?? known?.openMs;
  if (openMs === undefined || closeMs === undefined) {
    throw failure('InvalidInput', `${sessionDate} is no session of the calendar file: give open and close`);
  }
  if (openMs === known?.openMs && closeMs === known.closeMs) {
    throw failure('InvalidInput', `${sessionDate} has these hours in the calendar file already`);
  }
  const closeAt = new Date(closeMs).toISOString();
  const early = openMs === known?.openMs && closeMs < known.closeMs;
  if (early) return { sessionDate, kind: 'early_close', openAt: null, closeAt };
  return { sessionDate, kind: 'hours', openAt: new Date(openMs).toISOString(), closeAt };
}

function instantOn(input: Input, which: 'open' | 'close'): number | undefined {
  const clock = input[which];
  if (clock === null) return undefined;
  const [, hour, minute] = CLOCK.exec(clock) ?? [];
  if (hour === undefined || minute === undefined) {
    throw failure('InvalidInput', `${which}: ${clock} is not a time like 09:30`);
  }
  return instantOf({
    date: input.sessionDate,
    hour: Number(hour),
    minute: Number(minute),
    timezone: XNYS_TIME_ZONE,
  });
}

/** A change that breaks the calendar would stop every night. */
async function requireCalendar(tx: Tx, sessions: readonly ExchangeSession[]): Promise<void> {
  try {
    const overrides = await readCalendarOverrides(tx);
    createCalendar({ exchange: 'XNYS', timeZone: XNYS_TIME_ZONE, sessions, overrides });
  } catch (error) {
    if (error instanceof CalendarRangeError) throw failure('InvalidInput', error.message, { cause: error });
    throw error;
  }
}

function isSame(before: SessionOverrideRow, wanted: NewOverride): boolean {
  return before.kind === wanted.kind && before.openAt === wanted.openAt && before.closeAt === wanted.closeAt;
}

const CLOSED = 'closed';

function words(row: SessionOverrideRow, known: ExchangeSession | null): string {
  const { openAt, closeAt } = hoursOf(row, known);
  return row.kind === 'closed' ? CLOSED : `open ${openAt ?? '?'} to ${closeAt ?? '?'}`;
}

function sessionWords(known: ExchangeSession | null): string {
  if (known === null) return CLOSED;
  return `open ${new Date(known.openMs).toISOString()} to ${new Date(known.closeMs).toISOString()}`;
}

function hoursOf(row: SessionOverrideRow, known: ExchangeSession | null) {
  if (row.kind === 'closed') return { openAt: null, closeAt: null };
  const fileOpen = known === null ? null : new Date(known.openMs).toISOString();
  return { openAt: row.openAt ?? fileOpen, closeAt: row.closeAt };
}

function resultOf(row: SessionOverrideRow, known: ExchangeSession | null): SessionOverrideResult {
  const { sessionDate } = row;
  if (row.removedAt !== null) {
    const hours = {
      openAt: known === null ? null : new Date(known.openMs).toISOString(),
      closeAt: known === null ? null : new Date(known.closeMs).toISOString(),
    };
    return {
      sessionDate,
      state: 'removed',
      ...hours,
      decidedBy: row.removedBy ?? 'unknown',
      decidedAt: row.removedAt,
      why: row.removeReason ?? '',
    };
  }
  return {
    sessionDate,
    state: row.kind === 'closed' ? 'closed' : 'hours',
    ...hoursOf(row, known),
    decidedBy: row.decidedBy,
    decidedAt: row.recordedAt,
    why: row.reason,
  };
}
