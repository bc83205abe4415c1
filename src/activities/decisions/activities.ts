import type { DecisionActivities } from '../../contracts/decisions.ts';
import { classifyErrors } from '../errors.ts';
import { decideQuarantine } from './decide-quarantine.ts';
import type { DecisionDeps } from './deps.ts';
import { overrideSession } from './override-session.ts';

export type { DecisionDeps } from './deps.ts';

/** Decisions of people about rows and dates, on the `market-data` queue; each may run again at any time. */
export function createDecisionActivities(deps: DecisionDeps): DecisionActivities {
  return classifyErrors({
    decideQuarantine: (input: Parameters<DecisionActivities['decideQuarantine']>[0]) =>
      decideQuarantine(deps, input),
    overrideSession: (input: Parameters<DecisionActivities['overrideSession']>[0]) =>
      overrideSession(deps, input),
  });
}
