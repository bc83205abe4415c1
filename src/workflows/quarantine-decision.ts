import { proxyActivities, workflowInfo } from '@temporalio/workflow';

import type {
  DecisionActivities,
  QuarantineDecisionInput,
  QuarantineDecisionResult,
} from '../contracts/decisions.ts';
import { activityOptions } from './lib/activity-options.ts';
import { asDecision } from './lib/decision.ts';

/** A person's decision about one quarantined row: release it among the bars, or reject it for good. */
export async function quarantineDecision(input: QuarantineDecisionInput): Promise<QuarantineDecisionResult> {
  const { decideQuarantine } = proxyActivities<DecisionActivities>(activityOptions('marketDataShort'));
  const { workflowId } = workflowInfo();
  const { decision, symbol, sessionDate, subject = 'bar', provider, by, why } = input;
  const what = subject === 'bar' ? '' : ` ${subject}`;
  const heading = `${decision} of ${symbol} ${sessionDate}${what} (${provider})`;
  return asDecision({ heading, sessionDate, task: 'quarantineDecision', by, why }, async () => {
    const result = await decideQuarantine({ ...input, workflowId });
    return { result, words: `${result.status} by ${result.decidedBy} at ${result.decidedAt}: ${result.why}` };
  });
}
