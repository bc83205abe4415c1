import { mkdtemp, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { dataFolderAt, requireFreeDisk } from './data-folder.ts';

const GIB = 1024 ** 3;

describe('requireFreeDisk', () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'nightshift-folder-'));
  });
  afterEach(() => rm(root, { recursive: true }));

  it('names the folder, what is free and what a night needs', async () => {
    const { blocks, bsize } = await statfs(root);
    // More than the whole disk has.
    const need = Math.ceil((blocks * bsize) / GIB) + 1;
    const failure = await requireFreeDisk(dataFolderAt(root), need * GIB).then(
      () => '',
      (error: Error) => error.message,
    );
    expect(failure).toMatch(/^only \d+\.\d\d GiB free on the disk of /);
    expect(failure).toContain(`the disk of ${root}: a night needs ${need} GiB.`);
    const free = Number(/^only ([\d.]+) GiB/.exec(failure)?.[1]);
    const { bavail } = await statfs(root);
    // Others write to this disk too.
    expect(Math.abs(free - (bavail * bsize) / GIB)).toBeLessThan(1);
  });

  it('accepts a disk with as much as is needed', async () => {
    await requireFreeDisk(dataFolderAt(root), 0);
  });
});
