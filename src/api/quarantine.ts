import type { Client } from '@temporalio/client';
import type { QuarantineDecisionInput, QuarantineDecisionResult } from '../contracts/decisions.ts';
import { decideQuarantine, DecisionRefusedError, DecisionUnansweredError } from '../temporal/decisions.ts';
import { Problem } from './problems.ts';

/** A worker answers at once or not at all; with the call before it less than a request may take. */
const TIMES = { callMs: 2_000, answerMs: 6_000 };

/**
 * A person's decision about a row in quarantine, by the workflow that carries it out. Asked for again by the same name
 * with the same reason it is the same decision. Throws a Problem for any other second one, for a row that cannot be
 * decided so, and where no worker answers.
 */
export async function decideQuarantineFor(
  client: Client,
  input: QuarantineDecisionInput,
): Promise<QuarantineDecisionResult> {
  const { symbol, sessionDate, decision, by, why } = input;
  // Which bar is meant is a question of a release only.
  const row = decision === 'release' ? input.row : null;
  try {
    const given = await decideQuarantine(client, { ...input, row }, TIMES);
    if (given.decidedBy === by && given.why === why) return given;
    throw new Problem(
      'conflict',
      `${symbol} ${sessionDate} was ${given.status} by ${given.decidedBy} at ${given.decidedAt}: ${given.why}`,
    );
  } catch (error) {
    // Decided otherwise before, or nothing that could become a bar as it is.
    if (error instanceof DecisionRefusedError) throw new Problem('conflict', error.message, { cause: error });
    if (error instanceof DecisionUnansweredError)
      throw new Problem('timed-out', error.message, { cause: error });
    throw error;
  }
}
