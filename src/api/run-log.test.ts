import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TASK_LOG_FILES } from '../runtime/log-files.ts';
import { formatRecord } from '../runtime/log-record.ts';
import { readRunLog } from './run-log.ts';

let logDir: string;
beforeEach(async () => {
  logDir = await mkdtemp(join(tmpdir(), 'nightshift-run-log-'));
});
afterEach(() => rm(logDir, { recursive: true }));

/** A line a second, each about a run. */
async function write(folder: string, runs: readonly string[]): Promise<void> {
  await mkdir(join(logDir, folder), { recursive: true });
  const lines = runs.map((taskRunId, second) =>
    formatRecord({
      time: new Date(Date.parse('2018-02-08T04:00:00Z') + second * 1000),
      level: 'INFO',
      logger: 'nightshift.worker',
      message: `${folder} ${second}`,
      source: 'worker-1',
      task: 'training',
      fields: { taskRunId },
    }),
  );
  await writeFile(join(logDir, folder, TASK_LOG_FILES.training), `${lines.join('\n')}\n`);
}

const read = (change: { logDir?: string | null; lines?: number } = {}) =>
  readRunLog({
    logDir,
    task: 'training',
    taskRunId: 'mine',
    since: '2018-02-08T04:00:00.000Z',
    lines: 10,
    ...change,
  });

describe('the log of a run', () => {
  it('has its last lines of all folders by their time, and none of another run', async () => {
    await write('a', ['mine', 'other', 'mine', 'other', 'mine']);
    await write('b', ['other', 'mine']);
    const messages = async (lines: number) => (await read({ lines })).entries.map(({ message }) => message);
    expect(await messages(10)).toEqual(['a 0', 'b 1', 'a 2', 'a 4']);
    expect(await messages(2)).toEqual(['a 2', 'a 4']);
    expect((await read()).note).toBeNull();
  });

  it('says why there is nothing, and when it has not looked further', async () => {
    expect((await read({ logDir: null })).note).toBe('This process sees no log folder.');
    expect((await read()).note).toBe('Nothing was written about it, or maintenance archived it.');
    await write('', ['mine', ...Array.from({ length: 6_000 }, () => 'other')]);
    expect(await read()).toEqual({ entries: [], note: 'Older lines were not looked through.' });
  });
});
