import { Context } from '@temporalio/activity';

/** Longest stretch of computing before other tasks of this process get their turn. */
const BREATHE_AFTER_MS = 20;
const BEAT_EVERY_MS = 5_000;

/** What a heartbeat carries: people and the live view read it. */
export type ProgressDetails = { phase: string; done: number; total: number };

/** Progress of one running activity: heartbeats, turns for the event loop, and the way to be cancelled. */
export type Progress = {
  /** Says how far the work is; the SDK throttles what goes out. */
  report(phase: string, done: number, total: number): void;
  /**
   * To be called between chunks of computing: lets workflow tasks and heartbeats through when the last turn was
   * long ago. Throws CancelledFailure when the activity was cancelled.
   */
  breathe(): Promise<void>;
  /** Awaits work elsewhere (a statement of the database, a file) while beating on. */
  during<T>(phase: string, work: Promise<T>): Promise<T>;
  /** Rejects with CancelledFailure when the activity is cancelled. */
  readonly cancelled: Promise<never>;
};

/** Progress of the activity that is running now. */
export function currentProgress(): Progress {
  const context = Context.current();
  let details: ProgressDetails = { phase: 'start', done: 0, total: 1 };
  let turnAt = performance.now();
  const beat = (): void => context.heartbeat(details);
  const stopIfCancelled = async (): Promise<void> => {
    if (context.cancellationSignal.aborted) await context.cancelled;
  };
  return {
    cancelled: context.cancelled,
    report: (phase, done, total) => {
      details = { phase, done, total };
      beat();
    },
    breathe: async () => {
      if (performance.now() - turnAt < BREATHE_AFTER_MS) return;
      beat();
      await new Promise((resolve) => setImmediate(resolve));
      turnAt = performance.now();
      await stopIfCancelled();
    },
    during: async (phase, work) => {
      details = { phase, done: 0, total: 1 };
      beat();
      const timer = setInterval(beat, BEAT_EVERY_MS);
      try {
        const result = await work;
        await stopIfCancelled();
        return result;
      } finally {
        clearInterval(timer);
        turnAt = performance.now();
      }
    },
  };
}
