import { proxyActivities, workflowInfo } from '@temporalio/workflow';

import type {
  DecisionActivities,
  SessionOverrideInput,
  SessionOverrideResult,
} from '../contracts/decisions.ts';
import { activityOptions } from './lib/activity-options.ts';
import { asDecision } from './lib/decision.ts';

/** A person's correction of the exchange calendar for one date, or the removal of one. */
export async function sessionOverride(input: SessionOverrideInput): Promise<SessionOverrideResult> {
  const { overrideSession } = proxyActivities<DecisionActivities>(activityOptions('marketDataShort'));
  const { workflowId } = workflowInfo();
  const { sessionDate, change, by, why } = input;
  const heading = `calendar of ${sessionDate}: ${change}`;
  return asDecision({ heading, sessionDate, task: 'sessionOverride', by, why }, async () => {
    const result = await overrideSession({ ...input, workflowId });
    const hours = result.openAt === null ? '' : ` ${result.openAt} to ${result.closeAt}`;
    return {
      result,
      words: `${result.state}${hours} by ${result.decidedBy} at ${result.decidedAt}: ${result.why}`,
    };
  });
}
