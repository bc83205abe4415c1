import { mkdtemp, readFile, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { archiveOldLogs } from './log-archive.ts';
import { readZip } from './zip-reader.ts';

const DAY_MS = 86_400_000;
const now = new Date('2027-03-14T07:00:00Z');
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nightshift-logs-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function writeLog(name: string, text: string, ageDays: number): Promise<void> {
  await writeFile(join(folder, name), text);
  const at = new Date(now.getTime() - ageDays * DAY_MS);
  await utimes(join(folder, name), at, at);
}
const archive = (at = now) => archiveOldLogs({ folder, now: at, zipAfterDays: 30, deleteAfterDays: 365 });

describe('archiveOldLogs', () => {
  it('zips what is 30 days old, proves the archive, deletes the originals, keeps the rest', async () => {
    await writeLog('scheduler.log', 'young\n', 29.99);
    await writeLog('scheduler.log.1', 'old one\n'.repeat(500), 30);
    await writeLog('task_2_training_orchestrator.log.3', 'older ü\n', 90);
    await writeLog('notes.txt', 'not a log', 400);
    const result = await archive();
    expect(result.archive).toBe('logs_archive_20270314T070000Z.zip');
    expect(result.deletedOriginals).toEqual(['scheduler.log.1', 'task_2_training_orchestrator.log.3']);
    expect((await readdir(folder)).toSorted()).toEqual([
      'logs_archive_20270314T070000Z.zip',
      'notes.txt',
      'scheduler.log',
    ]);
    const entries = readZip(await readFile(join(folder, 'logs_archive_20270314T070000Z.zip')));
    expect(entries.map((entry) => entry.bytes.toString()).toSorted()).toEqual([
      'old one\n'.repeat(500),
      'older ü\n',
    ]);
    expect(await archive()).toMatchObject({ archive: null, archivedFiles: [], deletedOriginals: [] });
  });

  it('after a crash between archive and deletion, deletes without a second copy', async () => {
    await writeLog('scheduler.log.1', 'once\n', 40);
    await archive();
    await writeLog('scheduler.log.1', 'once\n', 40);
    const again = await archive(new Date(now.getTime() + 1_000));
    expect(again).toMatchObject({ archive: null, deletedOriginals: ['scheduler.log.1'] });
    expect(await readdir(folder)).toEqual(['logs_archive_20270314T070000Z.zip']);
  });

  it('a rotated name with other content gets into a new archive', async () => {
    await writeLog('scheduler.log.1', 'first\n', 40);
    await archive();
    await writeLog('scheduler.log.1', 'second\n', 33);
    const again = await archive(new Date(now.getTime() + 7 * DAY_MS));
    expect(again.archive).toBe('logs_archive_20270321T070000Z.zip');
  });

  it('deletes an archive when its newest log is 365 days old, not before', async () => {
    await writeLog('scheduler.log.1', 'x\n', 40);
    await archive();
    const kept = await archive(new Date(now.getTime() + 324 * DAY_MS));
    expect(kept.deletedArchives).toEqual([]);
    const gone = await archive(new Date(now.getTime() + 326 * DAY_MS));
    expect(gone.deletedArchives).toEqual(['logs_archive_20270314T070000Z.zip']);
  });

  it('deletes nothing when an archive cannot be read', async () => {
    await writeLog('scheduler.log.1', 'x\n', 40);
    await writeFile(join(folder, 'logs_archive_20270101T000000Z.zip'), 'PK broken');
    await expect(archive()).rejects.toThrow(/zip/);
    expect(await readdir(folder)).toContain('scheduler.log.1');
  });

  it('an empty or absent folder is no error', async () => {
    expect(
      await archiveOldLogs({ folder: join(folder, 'none'), now, zipAfterDays: 30, deleteAfterDays: 365 }),
    ).toMatchObject({
      archive: null,
    });
  });
});
