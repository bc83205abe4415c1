import { isGrpcServiceError, WorkflowNotFoundError } from '@temporalio/client';

/**
 * CANCELLED and DEADLINE_EXCEEDED (of a call with a deadline either may come first), and what says that the server is
 * away, starting or too busy: UNKNOWN, RESOURCE_EXHAUSTED, FAILED_PRECONDITION (its own worker for schedules does not
 * poll yet), ABORTED, OUT_OF_RANGE, INTERNAL (a stream that was cut), UNAVAILABLE, DATA_LOSS.
 */
const GONE: readonly number[] = [1, 4, 2, 8, 9, 10, 11, 13, 14, 15];
const NOT_FOUND = 5;
const INVALID_ARGUMENT = 3;

/** Whether an error says that the Temporal server does not answer. */
export function isTemporalGone(error: unknown): boolean {
  const code = grpcCodeOf(error);
  return code !== null && GONE.includes(code);
}

/** Whether the server says that it does not know a run (any more). */
export function isUnknownRun(error: unknown): boolean {
  return error instanceof WorkflowNotFoundError || grpcCodeOf(error) === NOT_FOUND;
}

/** Whether the server finds what it was asked malformed: a page token that is none of this run, say. */
export function isRefusedArgument(error: unknown): boolean {
  return grpcCodeOf(error) === INVALID_ARGUMENT;
}

/** The client wraps what the server says in errors of its own. */
function grpcCodeOf(error: unknown): number | null {
  if (isGrpcServiceError(error)) return error.code;
  return error instanceof Error && error.cause !== undefined ? grpcCodeOf(error.cause) : null;
}
