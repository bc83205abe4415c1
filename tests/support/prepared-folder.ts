import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { inject } from 'vitest';
import { dataFolderAt } from '../../src/runtime/data-folder.ts';
import { startRuntime } from '../../src/runtime/embedded.ts';
import { exists } from '../../src/runtime/files.ts';

const run = promisify(execFile);

export type TestFolder = { path: string; dispose: () => Promise<void> };

/**
 * A data folder whose servers were started once and stopped: cluster, migrations, namespace and secrets are there, no
 * row and no log line. Tests whose subject is not the making of it start from a copy.
 */
export async function preparedFolder(parent = tmpdir()): Promise<TestFolder> {
  const path = await mkdtemp(join(parent, 'nightshift-prepared-'));
  const workers = { typescript: 0, ml: 0 };
  const runtime = await startRuntime({ dataDir: path, command: 'test', workers });
  await runtime.stop();
  const folder = dataFolderAt(path);
  // Each copy chooses its own.
  await rm(folder.ports);
  for (const name of await readdir(folder.logs)) await rm(join(folder.logs, name));
  return { path, dispose: () => rm(path, { recursive: true, force: true }) };
}

/** A copy of a data folder that is stopped, at `to` (default: a folder of its own); remove it with `dispose`. */
export async function copyFolder(from: { path: string }, to?: string): Promise<TestFolder> {
  const path = to ?? (await mkdtemp(join(tmpdir(), 'nightshift-copy-')));
  await mkdir(path, { recursive: true });
  // Postgres insists on the owner and mode of its files.
  await run('cp', ['-a', `${from.path}/.`, path]);
  return { path, dispose: () => rm(path, { recursive: true, force: true }) };
}

/** The prepared folder of this test run, made by the first file that asks; only copies of it may be used. */
export async function sharedPreparedFolder(): Promise<{ path: string }> {
  const runFolder = inject('runFolder');
  const path = join(runFolder, 'prepared');
  const lock = `${path}.making`;
  while (!(await exists(path))) {
    const isOurs = await mkdir(lock).then(
      () => true,
      () => false,
    );
    if (!isOurs) {
      await sleep(100);
      continue;
    }
    try {
      if (!(await exists(path))) await rename((await preparedFolder(runFolder)).path, path);
    } finally {
      await rmdir(lock);
    }
  }
  return { path };
}
