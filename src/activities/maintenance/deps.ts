import type { ActivityDeps } from '../deps.ts';

/** `db` is logged in as `maintenance`: it may vacuum everything and delete what retention names. */
export type MaintenanceDeps = ActivityDeps & {
  /** Folder of the log files, those of workers on their own in folders below it; null where there is none. */
  logFolder?: string | null;
  /** Folders whose old files are nobody's any more. */
  tempFolders?: readonly string[];
};
