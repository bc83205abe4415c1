import { setTimeout as sleep } from 'node:timers/promises';
import { ApplicationFailure } from '@temporalio/common';
import { type Client, WorkflowFailedError } from '@temporalio/client';
import type {
  QuarantineDecisionInput,
  QuarantineDecisionResult,
  SessionOverrideInput,
  SessionOverrideResult,
} from '../contracts/decisions.ts';
import { quarantineWorkflowId, sessionOverrideWorkflowId, TASK_QUEUES } from '../contracts/wire/names.ts';

/** Decisions about market data that CLI and API share. Each is safe to repeat. */

const CALL_MS = 15_000;
/** A worker that lives answers in a second; the workflow goes on without us. */
const ANSWER_MS = 60_000;
/** Longer than the activity's own bound, so that a decision nobody can carry out ends some day. */
const EXECUTION_LIMIT = '1 hour';

/** A decision that was refused: no such row, decided otherwise before, or it makes no sense. */
export class DecisionRefusedError extends Error {
  override name = 'DecisionRefusedError';
  /** Class on the wire: `InvalidInput` or `AlreadyDecided`. */
  readonly type: string;

  constructor(message: string, options: { type: string; cause?: unknown }) {
    super(message, { cause: options.cause });
    this.type = options.type;
  }
}

/** A decision that no worker has carried out yet: it is as soon as one runs. */
export class DecisionUnansweredError extends Error {
  override name = 'DecisionUnansweredError';
}

/** How long the server may take to begin (15 s), and a worker to answer (a minute). */
type DecisionTimes = { callMs?: number; answerMs?: number };

/**
 * Releases or rejects a quarantined row. Throws DecisionRefusedError with the reason in words, DecisionUnansweredError
 * when no worker answers in time.
 */
export async function decideQuarantine(
  client: Client,
  input: QuarantineDecisionInput,
  times: DecisionTimes = {},
): Promise<QuarantineDecisionResult> {
  return await decide<QuarantineDecisionResult>(client, {
    workflow: 'quarantineDecision',
    workflowId: quarantineWorkflowId(input),
    summary: `${input.decision} ${input.symbol} ${input.sessionDate}${whatOf(input)} (${input.provider}), by ${input.by}`,
    input,
    ...times,
  });
}

function whatOf({ subject = 'bar' }: QuarantineDecisionInput): string {
  return subject === 'bar' ? '' : ` ${subject}`;
}

/** Corrects the calendar for one date, or takes a correction back. Throws as `decideQuarantine` does. */
export async function overrideSession(
  client: Client,
  input: SessionOverrideInput,
): Promise<SessionOverrideResult> {
  return await decide<SessionOverrideResult>(client, {
    workflow: 'sessionOverride',
    workflowId: sessionOverrideWorkflowId(input),
    summary: `calendar of ${input.sessionDate}: ${input.change}, by ${input.by}`,
    input,
  });
}

type DecisionInput = QuarantineDecisionInput | SessionOverrideInput;

async function decide<Result>(
  client: Client,
  run: { workflow: string; workflowId: string; summary: string; input: DecisionInput } & DecisionTimes,
): Promise<Result> {
  const { callMs = CALL_MS, answerMs = ANSWER_MS } = run;
  const handle = await client.withDeadline(Date.now() + callMs, () =>
    client.workflow.start<(input: DecisionInput) => Promise<Result>>(run.workflow, {
      workflowId: run.workflowId,
      taskQueue: TASK_QUEUES.marketData,
      args: [run.input],
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      workflowIdConflictPolicy: 'USE_EXISTING',
      workflowExecutionTimeout: EXECUTION_LIMIT,
      staticSummary: run.summary,
    }),
  );
  // Ends the timer, and the asking for a result that nobody waits for any more.
  const over = new AbortController();
  const late = sleep(answerMs, undefined, { signal: over.signal }).then((): never => {
    throw new DecisionUnansweredError(
      `no answer within ${answerMs / 1000} s; ${run.workflowId} is carried out as soon as a worker runs`,
    );
  });
  try {
    return await Promise.race([client.withAbortSignal(over.signal, () => handle.result()), late]);
  } catch (error) {
    throw refusalOf(error) ?? error;
  } finally {
    over.abort();
    late.catch(() => undefined);
  }
}

function refusalOf(error: unknown): DecisionRefusedError | null {
  if (!(error instanceof WorkflowFailedError) || !(error.cause instanceof ApplicationFailure)) return null;
  const { type, message } = error.cause;
  if (type !== 'InvalidInput' && type !== 'AlreadyDecided') return null;
  return new DecisionRefusedError(message, { type, cause: error });
}
