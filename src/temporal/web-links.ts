import type { ReportLinks } from '../db/queries/report.ts';
import type { RunKey } from './history.ts';

/** Address of one run in the Temporal Web UI; null where its address is not known. */
export type WebLink = (run: RunKey) => string | null;

/** Links into the Temporal Web UI, for its address up to the name of a workflow. */
export function webLinks(workflowsUrl: string | null | undefined): WebLink {
  return ({ workflowId, runId }) =>
    workflowsUrl === null || workflowsUrl === undefined
      ? null
      : `${workflowsUrl}/${encodeURIComponent(workflowId)}/${encodeURIComponent(runId)}/history`;
}

/** Those of a night's report: the night, all runs, and one of each task. */
export function reportWebLinks(
  workflowsUrl: string | null | undefined,
  night: RunKey,
): Required<Pick<ReportLinks, 'urls' | 'urlOfRun'>> {
  const urlOfRun = webLinks(workflowsUrl);
  const nightUrl = urlOfRun(night);
  return { urls: nightUrl && workflowsUrl ? { night: nightUrl, allRuns: workflowsUrl } : {}, urlOfRun };
}
