import type { Task } from '../contracts/wire/names.ts';
import { findLogFolders, type LogEntry, type LogPosition, readLogTail } from '../runtime/log-tail.ts';

export type RunLog = {
  /** Oldest first. */
  entries: LogEntry[];
  /** Why there are none, or not all; null: these are the last ones. */
  note: string | null;
};

const PAGE_LINES = 1_000;
/** Of each folder: a line that is older than so many others is left to `/api/v1/logs`. */
const MAX_PAGES = 5;
const MAX_FOLDERS = 4;

/** The last lines that were written about one task run, from every folder of the log that this process sees. */
export async function readRunLog(input: {
  logDir: string | null | undefined;
  task: Task;
  taskRunId: string;
  /** Nothing before it can be about the run. */
  since: string;
  lines: number;
}): Promise<RunLog> {
  const { logDir, task, taskRunId, since, lines } = input;
  const root = logDir ?? null;
  if (root === null) return { entries: [], note: 'This process sees no log folder.' };
  const folders = (await findLogFolders(root, task)).slice(0, MAX_FOLDERS);
  const all: LogEntry[] = [];
  let isCut = false;
  for (const folder of folders) {
    const found: LogEntry[] = [];
    let before: LogPosition | null = null;
    for (let page = 0; ; page += 1) {
      const read = await readLogTail({ root, folder, name: task, lines: PAGE_LINES, before });
      found.push(...read.entries.filter(({ fields }) => fields['taskRunId'] === taskRunId));
      ({ before } = read);
      const [oldest] = read.entries;
      if (before === null || (oldest !== undefined && oldest.timestamp < since)) break;
      if (found.length >= lines) break;
      isCut ||= page + 1 === MAX_PAGES;
      if (page + 1 === MAX_PAGES) break;
    }
    all.push(...found);
  }
  const entries = all.toSorted((a, b) => (a.timestamp < b.timestamp ? -1 : 1)).slice(-lines);
  const none = entries.length === 0 ? 'Nothing was written about it, or maintenance archived it.' : null;
  return { entries, note: isCut ? 'Older lines were not looked through.' : none };
}
