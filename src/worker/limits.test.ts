import { noopMetricMeter } from '@temporalio/common';
import { DefaultLogger } from '@temporalio/worker';
import { compileWorkerOptions } from '@temporalio/worker/lib/worker-options.js';
import { expect, it } from 'vitest';
import { WORKFLOW_WORKER_LIMITS } from './limits.ts';

it('the SDK takes the limit that its public type does not name', () => {
  const options = { taskQueue: 'pipeline', ...WORKFLOW_WORKER_LIMITS };
  const compiled = compileWorkerOptions(options, new DefaultLogger('ERROR'), noopMetricMeter);
  expect(compiled).toMatchObject({ isolateExecutionTimeoutMs: 120_000, maxCachedWorkflows: 100 });
});
