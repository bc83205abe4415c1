import type { ReportLinks } from '../db/queries/report.ts';
import type { Addresses } from '../runtime/addresses.ts';
import type { RunKey } from '../temporal/history.ts';
import { reportWebLinks } from '../temporal/web-links.ts';

/**
 * Links of a report: this run and its tasks in the Temporal Web UI (none for a cluster whose UI we do not know),
 * and the addresses of its artifacts.
 */
export function reportLinks(
  runtime: Pick<Addresses, 'temporalUi' | 'namespace' | 'artifactUrl'>,
  night: RunKey,
): Required<ReportLinks> {
  const { temporalUi, namespace, artifactUrl } = runtime;
  const base =
    temporalUi === null ? null : `${temporalUi}/namespaces/${encodeURIComponent(namespace)}/workflows`;
  return {
    ...reportWebLinks(base, night),
    urlOfArtifact: (name) => `${artifactUrl.replace(/\/+$/, '')}/${name}`,
  };
}
