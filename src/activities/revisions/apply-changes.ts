import type { TaskStep } from '../../contracts/activities.ts';
import { assertCurrentAttempt } from '../../db/fence.ts';
import { type EventRow, markEventsHandled } from '../../db/queries/events.ts';
import {
  type BarChange,
  hasDueChanges,
  invalidateBars,
  invalidateSession,
  type InvalidatedRows,
  lockDueChanges,
} from '../../db/queries/invalidation.ts';
import { nightCutoff } from '../../db/queries/sessions.ts';
import type { ExchangeCalendar } from '../../domain/calendar.ts';
import { firstNightKnowing } from '../../domain/knowledge.ts';
import type { ActivityDeps } from '../deps.ts';

/**
 * Acts on changes of bars, splits, tickers and the calendar that this night knows and nobody has acted on: marks what was made of
 * the old values and notes in the event which run did it. Marked outcomes are made again by the next backtest, the
 * rest when its night runs again. Without such a change nothing is written.
 */
export async function applyChanges(
  deps: ActivityDeps,
  { step, calendar }: { step: TaskStep; calendar: ExchangeCalendar },
): Promise<void> {
  const { sql } = deps.db;
  const { sessionDate } = step;
  const asOf = { sessionDate, cutoff: await nightCutoff(sql, sessionDate) };
  if (!(await hasDueChanges(sql, asOf))) return;
  const rows = await sql.begin(async (tx) => {
    await assertCurrentAttempt(tx, step.fence);
    const events = await lockDueChanges(tx, asOf);
    const bars = events.flatMap((event) => barChangeOf(event, calendar));
    const done: InvalidatedRows[] = bars.length === 0 ? [] : [await invalidateBars(tx, bars)];
    for (const event of events.filter(({ kind }) => kind === 'session.changed')) {
      const date = event.sessionDate ?? event.subject;
      done.push(await invalidateSession(tx, { sessionDate: date, reason: reasonOf(event) }));
    }
    await markEventsHandled(tx, {
      eventIds: events.map(({ eventId }) => eventId),
      handledBy: step.taskRunId,
    });
    return { events: events.length, ...sumOf(done) };
  });
  if (rows.events > 0) deps.logger?.info('market data changed', rows);
}

function barChangeOf(event: EventRow, calendar: ExchangeCalendar): BarChange[] {
  const { subject: symbol, sessionDate } = event;
  const reach = reachOf(event.kind);
  if (reach === null || sessionDate === null) return [];
  const effectiveSession = firstNightKnowing(calendar, Date.parse(availableAt(event)));
  return [{ symbol, sessionDate, effectiveSession, reach, reason: reasonOf(event) }];
}

/** Null: nothing is made of it. Returns leave dividends out, and statements are no features. */
function reachOf(kind: string): BarChange['reach'] | null {
  if (kind.startsWith('bar.')) return 'on';
  if (kind.startsWith('split.')) return 'across';
  return kind === 'gap.decided' ? 'from' : null;
}

/** When the new values became known; older events do not say it apart from their own time. */
function availableAt({ details, recordedAt }: EventRow): string {
  const known = typeof details === 'object' && details !== null && 'availableAt' in details;
  return known && typeof details.availableAt === 'string' ? details.availableAt : recordedAt;
}

function reasonOf({ kind, subject, sessionDate, eventId }: EventRow): string {
  const what = kind === 'session.changed' ? subject : `${subject} ${sessionDate ?? ''}`;
  return `${kind} ${what} (event ${eventId})`;
}

function sumOf(done: readonly InvalidatedRows[]): InvalidatedRows {
  const sum = (pick: (rows: InvalidatedRows) => number): number =>
    done.reduce((total, rows) => total + pick(rows), 0);
  return {
    outcomes: sum(({ outcomes }) => outcomes),
    datasets: sum(({ datasets }) => datasets),
    features: sum(({ features }) => features),
    backtests: sum(({ backtests }) => backtests),
    driftRows: sum(({ driftRows }) => driftRows),
  };
}
