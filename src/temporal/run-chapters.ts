import type { AttemptRow } from '../db/queries/attempts.ts';
import { isOpenState, type NightRow } from '../db/queries/nights.ts';
import type { ReviewRow, RunRequestRow } from '../db/queries/requests.ts';
import type { TaskRunRow } from '../db/queries/task-runs.ts';
import { askedBy } from './asked-by.ts';
import type { EntryKind, TimelineEntry } from './event-words.ts';
import type { Chapter } from './timeline.ts';

/** A task run from its being asked for to its end: each attempt with its history, people's decisions between them. */
export function runChapters(input: {
  run: TaskRunRow;
  attempts: readonly AttemptRow[];
  reviews: readonly ReviewRow[];
}): Chapter[] {
  const { run, attempts, reviews } = input;
  const parts = [
    { at: run.createdAt, chapter: told(askedFor(run.createdAt, run)) },
    ...attempts.map((attempt) => ({ at: attempt.startedAt, chapter: chapterOf(attempt) })),
    ...reviews.map((review) => ({ at: review.decidedAt, chapter: told(decided(review)) })),
  ].toSorted((a, b) => Date.parse(a.at) - Date.parse(b.at));
  const end = isOpenState(run.state) || run.completedAt === null ? [] : [told(endOf(run.completedAt, run))];
  return [...parts.map(({ chapter }) => chapter), ...end];
}

/** A run by hand that the queue has not begun, or has refused. */
export function requestChapters(request: RunRequestRow): Chapter[] {
  const { requestedAt: at, refusedReason } = request;
  const asked = askedFor(at, request);
  return [told(asked, ...(refusedReason === null ? [] : [entry(at, 'end', `is refused: ${refusedReason}`)]))];
}

/** A night: the history of its workflow, or what its rows and those of its tasks say. */
export function nightChapters(input: {
  night: NightRow;
  runs: readonly TaskRunRow[];
  reviews: readonly ReviewRow[];
}): Chapter[] {
  const { night, runs, reviews } = input;
  const { workflowId, runId, startedAt, completedAt } = night;
  const tasks = runs.flatMap((run) => [
    ...(run.startedAt === null ? [] : [entry(run.startedAt, 'task', `${run.task} begins`)]),
    ...(isOpenState(run.state) || run.completedAt === null ? [] : [endOf(run.completedAt, run, run.task)]),
  ]);
  const rows = [...tasks, ...reviews.map(decided)].toSorted((a, b) => Date.parse(a.at) - Date.parse(b.at));
  const end = isOpenState(night.state) || completedAt === null ? [] : [endOf(completedAt, night)];
  return [{ run: { workflowId, runId }, attempt: null, rows: [askedFor(startedAt, night), ...rows, ...end] }];
}

function chapterOf({
  workflowId,
  runId,
  attempt,
  state,
  startedAt,
  completedAt,
  failure,
}: AttemptRow): Chapter {
  const begin: TimelineEntry = { ...entry(startedAt, 'begin', `attempt ${attempt} begins`), attempt };
  const rows = [begin];
  if (completedAt !== null) {
    const why = failure === null ? '' : `: ${failure.type}: ${failure.message}`;
    const where = failure?.activity ? ` in ${failure.activity}` : '';
    const kind = state === 'failed' || state === 'timed_out' ? 'failure' : 'end';
    rows.push({
      ...entry(completedAt, kind, `attempt ${attempt} ${state.replaceAll('_', ' ')}${where}${why}`),
      attempt,
    });
  }
  return { run: { workflowId, runId }, attempt, rows };
}

function askedFor(at: string, of: Parameters<typeof askedBy>[0]): TimelineEntry {
  return entry(at, 'begin', `asked for by ${askedBy(of)}`);
}

function decided({ decidedAt, decidedBy, decision, why }: ReviewRow): TimelineEntry {
  return entry(decidedAt, 'decision', `${decidedBy} decides: ${decision}, ${why}`);
}

function endOf(at: string, of: { state: string; reason: string | null }, what = 'it'): TimelineEntry {
  const kind: EntryKind = of.state === 'failed' ? 'failure' : 'end';
  return entry(at, kind, `${what} ended ${of.state}${of.reason === null ? '' : `: ${of.reason}`}`);
}

function entry(at: string, kind: EntryKind, text: string): TimelineEntry {
  return { at, kind, text, attempt: null, eventId: null };
}

function told(...entries: TimelineEntry[]): Chapter {
  return { entries };
}
