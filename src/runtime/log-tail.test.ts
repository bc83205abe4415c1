import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LogFiles, SCHEDULER_LOG_FILE, TASK_LOG_FILES } from './log-files.ts';
import { formatRecord, type LogRecord } from './log-record.ts';
import { findLogFolders, type LogPosition, parseRecord, readLogTail } from './log-tail.ts';

function record(change: Partial<LogRecord> = {}): LogRecord {
  return {
    time: new Date('2018-02-08T04:34:30.123Z'),
    level: 'INFO',
    logger: 'nightshift.worker',
    message: 'fitFold started',
    source: 'worker-1',
    task: 'training',
    fields: {},
    ...change,
  };
}

describe('a record', () => {
  it('is read back as it was written, with its instant in UTC', () => {
    const written = record({
      level: 'ERROR',
      message: 'fitFold failed: {odd} words - here\nsecond line\n  third',
      fields: { workflowId: 'training/2018-02-07/tiny', attempt: 2, error: { stack: 'a\nb' } },
    });
    expect(parseRecord(formatRecord(written))).toEqual({
      timestamp: '2018-02-08T04:34:30.123Z',
      logger: 'nightshift.worker',
      level: 'ERROR',
      message: 'fitFold failed: {odd} words - here\nsecond line\n  third',
      fields: { workflowId: 'training/2018-02-07/tiny', attempt: '2', error: '{"stack":"a\\nb"}' },
    });
  });

  it('keeps its instant and level, whatever is in the message', () => {
    const instants = fc.date({
      min: new Date('2015-01-01'),
      max: new Date('2030-01-01'),
      noInvalidDate: true,
    });
    fc.assert(
      fc.property(instants, fc.string(), (time, message) => {
        // The hour that clocks show twice is read as the second one.
        const line = formatRecord(record({ time, message: `m ${message}` }));
        const parsed = parseRecord(line);
        const differenceMs = Math.abs(Date.parse(parsed?.timestamp ?? '') - time.getTime());
        return parsed?.level === 'INFO' && (differenceMs === 0 || differenceMs === 3_600_000);
      }),
    );
  });

  it.each(['', 'plain words', '[soon] x - INFO - y', '    at Object.run (x.js:1:2)'])(
    '%j is none',
    (text) => {
      expect(parseRecord(text)).toBeNull();
    },
  );
});

describe('the tail of a log', () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'nightshift-logs-'));
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  const page = (lines: number, before: LogPosition | null, folder = '') =>
    readLogTail({ root, folder, name: 'training', lines, before });

  it('goes back through all backups, each record once, also those of several lines', async () => {
    const files = new LogFiles(root, { maxBytes: 4_000, taskBackups: 50, schedulerBackups: 1 });
    for (let index = 0; index < 200; index += 1)
      files.write(record({ message: `line ${index}${index % 7 === 0 ? '\nand more of it' : ''}` }));
    const seen: string[] = [];
    let before: LogPosition | null = null;
    do {
      const found = await page(9, before);
      expect(found.entries.length).toBeLessThanOrEqual(9);
      seen.unshift(...found.entries.map(({ message }) => message));
      ({ before } = found);
    } while (before !== null);
    expect(seen).toEqual(
      Array.from({ length: 200 }, (_, index) => `line ${index}${index % 7 === 0 ? '\nand more of it' : ''}`),
    );
  });

  it('goes on where it was after a rotation, and ends where the file is gone', async () => {
    const files = new LogFiles(root);
    for (let index = 0; index < 10; index += 1) files.write(record({ message: `line ${index}` }));
    const first = await page(4, null);
    expect(first.entries.map(({ message }) => message)).toEqual(['line 6', 'line 7', 'line 8', 'line 9']);
    const path = join(root, TASK_LOG_FILES.training);
    await rename(path, `${path}.1`);
    files.write(record({ message: 'newer' }));
    expect((await page(2, first.before)).entries.map(({ message }) => message)).toEqual(['line 4', 'line 5']);
    await rm(`${path}.1`);
    expect(await page(2, first.before)).toEqual({ entries: [], before: null });
  });

  it('is bounded: a file without records ends a page and not the reading', async () => {
    const path = join(root, TASK_LOG_FILES.training);
    const big = `${formatRecord(record({ message: 'first' }))}\n${'x'.repeat(6_000_000)}\n`;
    await writeFile(path, `${big}${formatRecord(record({ message: 'last' }))}\n`);
    const newest = await page(1, null);
    expect(newest.entries.map(({ message }) => message)).toEqual(['last']);
    const empty = await page(1, newest.before);
    expect(empty.entries).toEqual([]);
    expect(empty.before).not.toBeNull();
    const oldest = await page(1, empty.before);
    expect(oldest.entries[0]?.message).toMatch(/^first\nx+$/);
    expect(oldest.before).toBeNull();
  });

  it('is looked for in the folder and one below it, newest first, and nowhere else', async () => {
    expect(await findLogFolders(join(root, 'none'), 'training')).toEqual([]);
    for (const folder of ['worker-a', 'worker-b', join('worker-a', 'deeper'), 'empty'])
      await mkdir(join(root, folder), { recursive: true });
    const outside = await mkdtemp(join(tmpdir(), 'nightshift-outside-'));
    try {
      await writeFile(join(outside, TASK_LOG_FILES.training), 'secret\n');
      await symlink(outside, join(root, 'link'));
      await symlink(join(outside, TASK_LOG_FILES.training), join(root, 'empty', TASK_LOG_FILES.training));
      await writeFile(join(root, 'worker-a', TASK_LOG_FILES.training), 'a\n');
      await writeFile(join(root, 'worker-a', 'deeper', TASK_LOG_FILES.training), 'a\n');
      await writeFile(join(root, 'worker-b', SCHEDULER_LOG_FILE), 'b\n');
      expect(await findLogFolders(root, 'training')).toEqual(['worker-a']);
      expect(await findLogFolders(root, 'scheduler')).toEqual(['worker-b']);
    } finally {
      await rm(outside, { recursive: true });
    }
  });
});
