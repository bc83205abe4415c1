import logUpdate from 'log-update';
import type { RunReport } from '../contracts/schemas/report.ts';
import { createNarrator } from './narrate.ts';
import type { Notes } from './notes.ts';
import { liveBlock, type NightProgress } from './render/progress.ts';

const POLL_MS = 500;
const DEFAULT_COLUMNS = 80;

export type FollowOptions = {
  /** Reads the run's rows; null while the night has not written its first row. */
  readReport: () => Promise<RunReport | null>;
  /** How far the running tasks are: pending activities with their heartbeats. */
  readProgress: (report: RunReport) => Promise<NightProgress>;
  /** True when the workflow is closed, whatever the rows say. */
  isClosed: () => Promise<boolean>;
  /** Why a run that is closed left no row at all. */
  readFailure: () => Promise<Error>;
  output: NodeJS.WriteStream;
  now: () => number;
  signal: AbortSignal;
  /** What the runtime tells meanwhile stands above the live block. */
  notes: Notes;
  /** True: keep watching while a review is pending (somebody sits at the terminal). */
  waitForReview: boolean;
  /** How to decide; asked whenever another task waits for a person and the watching goes on. */
  reviewHint: (report: RunReport) => string[];
};

const OPEN_STATES = new Set(['pending', 'waiting', 'running']);

function isOpen(report: RunReport, waitForReview: boolean): boolean {
  return OPEN_STATES.has(report.status) || (waitForReview && report.status === 'awaiting_review');
}

/**
 * Shows a running night until it is over or waits for a person: a live block on a terminal, plain lines
 * elsewhere. Resolves with the last report, or null when it was aborted before any. Throws the run's own failure
 * when it ended without a row.
 */
export async function followNight(options: FollowOptions): Promise<RunReport | null> {
  const { output } = options;
  const live = output.isTTY;
  const narrate = createNarrator({ now: options.now, withProgress: !live });
  const say = (lines: readonly string[]): void => {
    if (lines.length === 0) return;
    if (live) logUpdate.clear();
    output.write(`${lines.join('\n')}\n`);
  };
  if (live) options.notes.divert(say);
  try {
    return await watch(options, { narrate, say });
  } finally {
    if (live) logUpdate.clear();
    options.notes.divert(null);
  }
}

type Teller = { narrate: ReturnType<typeof createNarrator>; say: (lines: readonly string[]) => void };

async function watch(options: FollowOptions, { narrate, say }: Teller): Promise<RunReport | null> {
  const { output, signal, waitForReview } = options;
  let report: RunReport | null = null;
  let hintedFor = '';
  for (let frame = 0; !signal.aborted; frame += 1) {
    report = (await options.readReport()) ?? report;
    if (report !== null) {
      const open = isOpen(report, waitForReview);
      const progress: NightProgress = open ? await options.readProgress(report) : new Map();
      say(narrate(report, progress));
      const waiting = open ? tasksInReview(report) : '';
      if (waiting !== '' && waiting !== hintedFor) say(options.reviewHint(report));
      hintedFor = waiting;
      if (output.isTTY) {
        const columns = output.columns > 0 ? output.columns : DEFAULT_COLUMNS;
        logUpdate(liveBlock(report, { progress, frame, nowMs: options.now(), columns }).join('\n'));
      }
      if (!open) break;
      if (await options.isClosed()) {
        report = (await options.readReport()) ?? report;
        say(narrate(report, new Map()));
        break;
      }
    } else if (await options.isClosed()) {
      // Its last row may have come between the two looks.
      report = await options.readReport();
      if (report === null) throw await options.readFailure();
      continue;
    }
    await sleep(POLL_MS, signal);
  }
  return report;
}

function tasksInReview({ tasks }: RunReport): string {
  return tasks.flatMap(({ task, status }) => (status === 'awaiting_review' ? [task] : [])).join();
}

function sleep(durationMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, durationMs);
    function done() {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done);
  });
}
