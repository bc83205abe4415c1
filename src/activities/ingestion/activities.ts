import type { IngestionActivities } from '../../contracts/activities.ts';
import { classifyErrors } from '../errors.ts';
import { ingestBatch } from './batch.ts';
import type { IngestionDeps } from './deps.ts';
import { finishIngestion } from './finish.ts';
import { planIngestion } from './plan.ts';

export type { IngestionDeps } from './deps.ts';

/** Activities of the `market-data` queue that bring a session's data in; each may run again at any time. */
export function createIngestionActivities(deps: IngestionDeps): IngestionActivities {
  return classifyErrors({
    planIngestion: (step: Parameters<IngestionActivities['planIngestion']>[0]) => planIngestion(deps, step),
    ingestBatch: (step: Parameters<IngestionActivities['ingestBatch']>[0]) => ingestBatch(deps, step),
    finishIngestion: (step: Parameters<IngestionActivities['finishIngestion']>[0]) =>
      finishIngestion(deps, step),
  });
}
