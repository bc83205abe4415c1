import type { NightState } from '../contracts/wire/names.ts';

/** Exit codes of the command, as documented: scripts depend on them. */
export const EXIT = { ok: 0, failed: 1, usage: 2, partial: 3, awaitingReview: 4, interrupted: 130 } as const;

/** Wrong words on the command line or a wrong value in a file: exit code 2, no stack. */
export class UsageError extends Error {
  override name = 'UsageError';
}

/**
 * Exit code that says how a night or a task ended. 0 also where nothing was wanted: no session that day, everything
 * disabled. What was wanted and did not run, because another run has it or a need is not met, is 1.
 */
export function exitCodeOf(state: NightState): number {
  switch (state) {
    case 'succeeded':
    case 'no_session':
    case 'disabled':
      return EXIT.ok;
    case 'partial':
      return EXIT.partial;
    case 'awaiting_review':
      return EXIT.awaitingReview;
    case 'cancelled':
      return EXIT.interrupted;
    default:
      return EXIT.failed;
  }
}

/** The one code for several nights: the first bad one in the order failed, interrupted, review, partial. */
export function worstExitCode(codes: number[]): number {
  const order: number[] = [EXIT.failed, EXIT.interrupted, EXIT.awaitingReview, EXIT.partial];
  return order.find((code) => codes.includes(code)) ?? EXIT.ok;
}
