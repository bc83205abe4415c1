import { isGrpcServiceError, WorkflowNotFoundError } from '@temporalio/client';

/**
 * UNAVAILABLE, DEADLINE_EXCEEDED and CANCELLED: of a call with a deadline either may come first. RESOURCE_EXHAUSTED: a
 * server that was just started holds only so many questions about schedules until its own worker takes them.
 */
const GONE: readonly number[] = [14, 4, 1, 8];
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
