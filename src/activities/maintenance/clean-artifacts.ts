import { lstat, readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ArtifactEntry, type ArtifactStore, objectKey } from '../../artifacts/store.ts';
import type { TaskResult, TaskStep } from '../../contracts/activities.ts';
import { assertCurrentAttempt } from '../../db/fence.ts';
import {
  type LiveArtifacts,
  lockArtifactsForDeletion,
  readLiveArtifacts,
  readOpenTaskRuns,
} from '../../db/queries/retention.ts';
import { readRunConfig } from '../config.ts';
import { currentProgress, type Progress } from '../progress.ts';
import type { MaintenanceDeps } from './deps.ts';

const HOUR_MS = 3_600_000;
/** Deleted under one lock: short, because whoever wants to reuse a dataset waits for it. */
const BATCH_KEYS = 100;
/** Files the stores write before they rename: ours, and those of the Python worker's object_store. */
const UNFINISHED = /^\.tmp-|#\d+$/;

/**
 * Removes what no row needs and no running night may ask for: old temporary files, objects nobody references,
 * refs whose object is gone. Everything younger than `retention.tempHours` stays. While any task run is open
 * only temporary files go, because its artifacts may not be in rows yet.
 */
export async function cleanArtifacts(deps: MaintenanceDeps, step: TaskStep): Promise<TaskResult> {
  const { sql } = deps.db;
  const progress = currentProgress();
  const { retention } = await readRunConfig(sql, step);
  const before = new Date(deps.clock().getTime() - retention.tempHours * HOUR_MS);
  const temporary = await progress.during('temporary files', removeTemporary(deps, before));
  const objects = await progress.during('list', deps.artifacts.list('objects/'));
  const refs = await progress.during('list', deps.artifacts.list('refs/'));
  const old = objects.filter(({ modifiedAt }) => modifiedAt < before);
  const deletion = await deleteUnneeded({ deps, step, progress, candidates: old });
  const deletedRefs =
    deletion.deferred === null
      ? await removeDanglingRefs({
          artifacts: deps.artifacts,
          refs: refs.filter(({ modifiedAt }) => modifiedAt < before),
          present: new Set(objects.map(({ key }) => key).filter((key) => !deletion.deleted.has(key))),
          progress,
        })
      : 0;
  return {
    graceHours: retention.tempHours,
    temporaryFiles: temporary.files,
    temporaryBytes: temporary.bytes,
    objects: objects.length,
    bytesBefore: sumBytes(objects),
    bytesAfter: sumBytes(objects.filter(({ key }) => !deletion.deleted.has(key))),
    deletedObjects: deletion.deleted.size,
    deletedRefs,
    deferred: deletion.deferred,
  };
}

function sumBytes(entries: readonly { bytes: number }[]): number {
  return entries.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Batch by batch under the deletion lock, each with a fresh look at rows and open runs. */
async function deleteUnneeded(input: {
  deps: MaintenanceDeps;
  step: TaskStep;
  progress: Progress;
  candidates: readonly ArtifactEntry[];
}): Promise<{ deleted: Set<string>; deferred: string | null }> {
  const { deps, step, progress, candidates } = input;
  const deleted = new Set<string>();
  for (let from = 0; from < candidates.length; from += BATCH_KEYS) {
    progress.report('orphans', from, candidates.length);
    const batch = candidates.slice(from, from + BATCH_KEYS);
    const open = await deps.db.sql.begin(async (tx) => {
      await assertCurrentAttempt(tx, step.fence);
      await lockArtifactsForDeletion(tx);
      const runs = await readOpenTaskRuns(tx);
      if (runs.length > 0) return runs;
      const needed = neededKeys(await readLiveArtifacts(tx));
      for (const { key } of batch.filter(({ key }) => !needed.has(key))) {
        await deps.artifacts.delete(key);
        deleted.add(key);
      }
      return runs;
    });
    await progress.breathe();
    if (open.length > 0) return { deleted, deferred: `a run is open: ${open.join(', ')}` };
  }
  return { deleted, deferred: null };
}

function neededKeys(live: LiveArtifacts): Set<string> {
  return new Set([...live.hashes].map(objectKey));
}

/** A ref is a cache entry: without its object it only costs a look. */
async function removeDanglingRefs(input: {
  artifacts: ArtifactStore;
  refs: readonly ArtifactEntry[];
  present: ReadonlySet<string>;
  progress: Progress;
}): Promise<number> {
  let removed = 0;
  for (const [index, { key }] of input.refs.entries()) {
    input.progress.report('refs', index, input.refs.length);
    const [, kind = '', file = ''] = key.split('/');
    const value = await input.artifacts.getRef(kind, file.replace(/\.json$/, ''));
    const hashes = hashesIn(value);
    if (hashes.every((hash) => input.present.has(objectKey(hash)))) continue;
    await input.artifacts.delete(key);
    removed += 1;
    await input.progress.breathe();
  }
  return removed;
}

/** Values of a ref that name objects: fields that end in `Hash`. */
function hashesIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, field]) =>
    name.endsWith('Hash') && typeof field === 'string' && /^[0-9a-f]{64}$/.test(field) ? [field] : [],
  );
}

async function removeTemporary(
  deps: MaintenanceDeps,
  before: Date,
): Promise<{ files: number; bytes: number }> {
  const folders = (deps.tempFolders ?? []).map((folder) => ({ folder, all: true }));
  if (deps.artifacts.url.startsWith('file:')) {
    folders.push({ folder: fileURLToPath(deps.artifacts.url), all: false });
  }
  const counts = { files: 0, bytes: 0 };
  for (const { folder, all } of folders) {
    // Names, not entries: the path of an entry's folder came with Node 20.12.
    for (const name of await readdir(folder, { recursive: true }).catch(() => [])) {
      if (!(all || UNFINISHED.test(basename(name)))) continue;
      const path = join(folder, name);
      const info = await lstat(path).catch(() => null);
      if (info === null || !info.isFile() || info.mtime >= before) continue;
      await rm(path, { force: true });
      counts.files += 1;
      counts.bytes += info.size;
    }
  }
  return counts;
}
