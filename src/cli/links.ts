import type { Addresses } from '../runtime/addresses.ts';

/** Links into the Temporal Web UI for one run; empty for a cluster whose UI we do not know. */
export function reportUrls(
  runtime: Pick<Addresses, 'temporalUi' | 'namespace'>,
  run: { workflowId: string; runId: string },
): Record<string, string> {
  if (runtime.temporalUi === null) return {};
  const base = `${runtime.temporalUi}/namespaces/${encodeURIComponent(runtime.namespace)}`;
  const path = `${encodeURIComponent(run.workflowId)}/${encodeURIComponent(run.runId)}`;
  return { night: `${base}/workflows/${path}/history`, allRuns: `${base}/workflows` };
}
