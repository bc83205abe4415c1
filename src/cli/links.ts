import type { ReportLinks } from '../db/queries/report.ts';
import type { Addresses } from '../runtime/addresses.ts';

type RunKey = { workflowId: string; runId: string };

/**
 * Links of a report: this run and its tasks in the Temporal Web UI (none for a cluster whose UI we do not know),
 * and the addresses of its artifacts.
 */
export function reportLinks(
  runtime: Pick<Addresses, 'temporalUi' | 'namespace' | 'artifactUrl'>,
  night: RunKey,
): Required<ReportLinks> {
  const base =
    runtime.temporalUi === null
      ? null
      : `${runtime.temporalUi}/namespaces/${encodeURIComponent(runtime.namespace)}/workflows`;
  const urlOfRun = ({ workflowId, runId }: RunKey): string | null =>
    base === null ? null : `${base}/${encodeURIComponent(workflowId)}/${encodeURIComponent(runId)}/history`;
  const nightUrl = urlOfRun(night);
  return {
    urls: base === null || nightUrl === null ? {} : { night: nightUrl, allRuns: base },
    urlOfRun,
    urlOfArtifact: (name) => `${runtime.artifactUrl.replace(/\/+$/, '')}/${name}`,
  };
}
