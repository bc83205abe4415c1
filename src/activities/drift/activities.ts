import type { DriftActivities } from '../../contracts/activities.ts';
import type { ActivityDeps } from '../deps.ts';
import { classifyErrors } from '../errors.ts';
import { runDrift } from './run-drift.ts';

/** The drift task; may run again at any time. */
export function createDriftActivities(deps: ActivityDeps): DriftActivities {
  return classifyErrors({
    runDrift: (step: Parameters<DriftActivities['runDrift']>[0]) => runDrift(deps, step),
  });
}
