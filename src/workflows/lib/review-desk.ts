import {
  ApplicationFailure,
  CancellationScope,
  condition,
  defineUpdate,
  setHandler,
} from '@temporalio/workflow';

import type { RunActivities } from '../../contracts/activities.ts';
import { DECIDE_REVIEW, type ReviewInput, type ReviewState } from '../../contracts/wire/messages.ts';
import { serialLocalActivities } from './local-activities.ts';
import { tagReview } from './search-attributes.ts';

export const decideReviewUpdate = defineUpdate<ReviewInput, [ReviewInput]>(DECIDE_REVIEW);

const DECISIONS = ['retry', 'skip', 'abort'];

export type ReviewDesk = {
  /**
   * Waits for a person's decision until `deadlineMs`; undefined after it. `announce` makes the wait known:
   * whoever hears of it can decide at once.
   */
  decision(wait: {
    taskRunId: string;
    deadlineMs: number;
    announce: () => Promise<void>;
  }): Promise<ReviewInput | undefined>;
};

/**
 * Takes `decideReview` updates: one decision per wait, by a named person with a reason, kept by the history and
 * written to its row by whoever waits. Registers its handler at once: call it before the first await.
 */
export function createReviewDesk(): ReviewDesk {
  const { recordReview } = serialLocalActivities<RunActivities>('bookkeeping');
  const waiting = new Map<string, { decided: ReviewInput | undefined }>();
  const decidedBefore = new Map<string, ReviewInput>();

  setHandler(
    decideReviewUpdate,
    // Nothing is awaited here: the answer of an update that waits for rows may not replay (TMPRL1100).
    (input) => {
      const entry = waiting.get(input.taskRunId);
      if (entry === undefined) throw refused(`${input.taskRunId} does not wait for a review`);
      entry.decided = input;
      decidedBefore.set(input.taskRunId, input);
      return input;
    },
    {
      description: 'A person decides about a failed task: retry, skip or abort.',
      validator: (input) => {
        if (!DECISIONS.includes(input.decision))
          throw refused(`the decision must be one of ${DECISIONS.join(', ')}`);
        if (input.by.trim() === '') throw refused('a decision needs the name of the person who takes it');
        if (input.why.trim() === '') throw refused('a decision needs a reason');
        const entry = waiting.get(input.taskRunId);
        const before = entry?.decided ?? decidedBefore.get(input.taskRunId);
        if (entry === undefined || entry.decided !== undefined) {
          throw refused(
            before === undefined
              ? `${input.taskRunId} does not wait for a review`
              : `already decided: ${before.decision} by ${before.by}`,
          );
        }
      },
    },
  );

  const decision: ReviewDesk['decision'] = async ({ taskRunId, deadlineMs, announce }) => {
    const entry: { decided: ReviewInput | undefined } = { decided: undefined };
    if (waiting.size === 0) tagReview('pending');
    waiting.set(taskRunId, entry);
    try {
      await announce();
      const leftMs = Math.max(1, deadlineMs - Date.now());
      await condition(() => entry.decided !== undefined, leftMs, {
        summary: `waits for a person to decide about ${taskRunId}`,
      });
      const { decided } = entry;
      if (decided !== undefined) await CancellationScope.nonCancellable(() => recordReview(decided));
      return decided;
    } finally {
      waiting.delete(taskRunId);
      if (waiting.size === 0) tagReview(endOf(entry.decided));
    }
  };

  return { decision };
}

/** Nobody decided: the time was over, or whoever waits was stopped. */
function endOf(decided: ReviewInput | undefined): ReviewState {
  if (decided !== undefined) return 'decided';
  return CancellationScope.current().consideredCancelled ? 'cancelled' : 'expired';
}

function refused(message: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(message, 'ReviewRefused');
}
