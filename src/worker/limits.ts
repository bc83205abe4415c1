/**
 * Limits of a worker that runs workflows. `isolateExecutionTimeout` is the SDK's watchdog over workflow code:
 * 5 s of the wall clock. Where the cores are taken, ordinary code exceeds them, and code that is cut off inside
 * an async scope ends the whole process ("async hook stack has become corrupted"). The SDK takes the option but
 * leaves it out of its public type, hence this object; the server itself waits 10 s for a workflow task.
 */
export const WORKFLOW_WORKER_LIMITS = {
  maxCachedWorkflows: 100,
  isolateExecutionTimeout: '2 minutes',
};
