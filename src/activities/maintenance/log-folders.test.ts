import { mkdir, mkdtemp, readdir, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { archiveLogFolders } from './log-folders.ts';

const DAY_MS = 86_400_000;
const now = new Date('2027-03-14T07:00:00Z');
const ARCHIVE = 'logs_archive_20270314T070000Z.zip';
let root: string;
let folder: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'nightshift-logs-'));
  folder = join(root, 'logs');
  await mkdir(folder);
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function writeLog(path: string, ageDays: number): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `${path}\n`);
  const at = new Date(now.getTime() - ageDays * DAY_MS);
  await utimes(path, at, at);
}
const archive = (at = now, more: { onProgress?: () => void } = {}) =>
  archiveLogFolders({ folder, now: at, zipAfterDays: 30, deleteAfterDays: 365, ...more });

it("zips and deletes in the folder of every worker, each into an archive of its own, and in the runtime's", async () => {
  await writeLog(join(folder, 'scheduler.log.1'), 31);
  await writeLog(join(folder, 'worker-1', 'scheduler.log.1'), 40);
  await writeLog(join(folder, 'worker-1', 'scheduler.log'), 1);
  await writeLog(join(folder, 'ml-2', 'task_2_training_orchestrator.log'), 90);
  await writeLog(join(folder, 'quiet', 'scheduler.log'), 2);
  const result = await archive();
  expect(result).toMatchObject({
    archives: [ARCHIVE, `ml-2/${ARCHIVE}`, `worker-1/${ARCHIVE}`],
    deletedOriginals: [
      'scheduler.log.1',
      'ml-2/task_2_training_orchestrator.log',
      'worker-1/scheduler.log.1',
    ],
    unreachable: [],
  });
  expect(result.archivedFiles).toEqual(result.deletedOriginals);
  expect((await readdir(join(folder, 'worker-1'))).toSorted()).toEqual([ARCHIVE, 'scheduler.log']);
  expect(await readdir(join(folder, 'ml-2'))).toEqual([ARCHIVE]);
  expect(await readdir(join(folder, 'quiet'))).toEqual(['scheduler.log']);
  expect(await archive()).toMatchObject({ archives: [], archivedFiles: [], deletedOriginals: [] });
});

it('leaves nothing of a worker whose archives are too old, and follows no link out of the folder', async () => {
  await writeLog(join(folder, 'gone', 'scheduler.log'), 40);
  await writeLog(join(root, 'elsewhere', 'theirs.log'), 400);
  await symlink(join(root, 'elsewhere'), join(folder, 'link'));
  await archive();
  expect(await readdir(join(folder, 'gone'))).toEqual([ARCHIVE]);
  const later = await archive(new Date(now.getTime() + 326 * DAY_MS));
  expect(later.deletedArchives).toEqual([`gone/${ARCHIVE}`]);
  expect(await readdir(folder)).toEqual(['link']);
  expect(await readdir(join(root, 'elsewhere'))).toEqual(['theirs.log']);
});

it('does the other folders when one of them is damaged, and says so at the end', async () => {
  await writeLog(join(folder, 'a', 'logs_archive_20270101T000000Z.zip'), 50);
  await writeLog(join(folder, 'a', 'scheduler.log'), 50);
  await writeLog(join(folder, 'b', 'scheduler.log'), 50);
  await expect(archive()).rejects.toThrow(/zip/);
  expect(await readdir(join(folder, 'b'))).toEqual([ARCHIVE]);
  expect(await readdir(join(folder, 'a'))).toContain('scheduler.log');
});

it('names a folder that is closed to it and does the others', async () => {
  await writeLog(join(folder, 'closed', 'scheduler.log'), 50);
  await writeLog(join(folder, 'open', 'scheduler.log'), 50);
  // What a disk mounted read-only or a folder of another user answers; root is refused nothing.
  const denied = Object.assign(new Error('permission denied'), { code: 'EACCES' });
  let calls = 0;
  const result = await archive(now, {
    onProgress: () => {
      calls += 1;
      if (calls === 1) throw denied;
    },
  });
  expect(result.unreachable).toEqual(['closed: EACCES']);
  expect(result.archives).toEqual([`open/${ARCHIVE}`]);
});

it('a folder that is not there is no error', async () => {
  await rm(folder, { recursive: true });
  expect(await archive()).toMatchObject({ archives: [], unreachable: [] });
});
