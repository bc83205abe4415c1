import { randomUUID } from 'node:crypto';
import { link, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { identify, isRunning, type ProcessIdentity } from './process-identity.ts';

const LOCK_FILE = 'lock.json';
/** The owner touches its lock this often, which is how other hosts on a shared disk see that it lives. */
const TOUCH_MS = 5000;
const FOREIGN_STALE_MS = 60_000;
const TAKEOVER_STALE_MS = 10_000;

const ownerSchema = z.object({
  pid: z.number().int(),
  startedAt: z.string().nullable(),
  host: z.string(),
  command: z.string(),
});
export type LockOwner = z.infer<typeof ownerSchema>;

export type FolderLock = { release(): Promise<void> };

/** Thrown when a living process owns the folder. */
export class FolderLockedError extends Error {
  override name = 'FolderLockedError';
  readonly owner: LockOwner;
  constructor(folder: string, owner: LockOwner) {
    super(`${folder} is in use by pid ${owner.pid} on ${owner.host} (${owner.command})`);
    this.owner = owner;
  }
}

/**
 * Takes the exclusive lock of a data folder. The lock of an owner that is gone (kill -9, reboot, pid
 * given to another process) is taken over. Throws FolderLockedError while its owner lives.
 */
export async function lockFolder(folder: string, command: string): Promise<FolderLock> {
  const path = join(folder, LOCK_FILE);
  const self = await identify(process.pid);
  if (self === null) throw new Error('this process cannot see itself');
  const mine: LockOwner = { ...self, command };
  for (let attempt = 0; attempt < 50; attempt += 1) {
    if (await createWhole(path, JSON.stringify(mine))) return holdLock(path, mine);
    const owner = await readOwner(path);
    if (owner !== null && (await isAlive(path, owner))) throw new FolderLockedError(folder, owner);
    await removeStale(path);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`the lock of ${folder} could not be taken`);
}

/** The living owner of a data folder, or null when nobody uses it. */
export async function lockOwner(folder: string): Promise<LockOwner | null> {
  const path = join(folder, LOCK_FILE);
  const owner = await readOwner(path);
  return owner !== null && (await isAlive(path, owner)) ? owner : null;
}

/** Identity of a lock's owner on this host. */
export function ownerIdentity(owner: LockOwner): ProcessIdentity {
  return { pid: owner.pid, startedAt: owner.startedAt, host: owner.host };
}

async function isAlive(path: string, owner: LockOwner): Promise<boolean> {
  if (owner.host === hostname()) return isRunning(ownerIdentity(owner));
  const found = await stat(path).catch(() => null);
  return found !== null && Date.now() - found.mtimeMs < FOREIGN_STALE_MS;
}

async function readOwner(path: string): Promise<LockOwner | null> {
  const text = await readFile(path, 'utf8').catch(() => null);
  if (text === null) return null;
  try {
    return ownerSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/** Creates a file with its content in one step; false when it exists. */
async function createWhole(path: string, content: string): Promise<boolean> {
  const temporary = `${path}.${process.pid}.${randomUUID()}`;
  await writeFile(temporary, content);
  try {
    await link(temporary, path);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(temporary, { force: true });
  }
}

/** Removes a stale lock under a second, short lock: of two that found it stale, only one may remove it. */
async function removeStale(path: string): Promise<void> {
  const takeover = `${path}.takeover`;
  if (!(await createWhole(takeover, String(process.pid)))) {
    const found = await stat(takeover).catch(() => null);
    if (found !== null && Date.now() - found.mtimeMs > TAKEOVER_STALE_MS) await rm(takeover, { force: true });
    return;
  }
  try {
    const owner = await readOwner(path);
    if (owner === null || !(await isAlive(path, owner)))
      await rename(path, `${path}.stale`).catch(() => undefined);
  } finally {
    await rm(takeover, { force: true });
  }
}

function holdLock(path: string, mine: LockOwner): FolderLock {
  const touch = setInterval(() => void utimes(path, new Date(), new Date()).catch(() => undefined), TOUCH_MS);
  touch.unref();
  return {
    async release() {
      clearInterval(touch);
      const owner = await readOwner(path);
      if (owner?.pid === mine.pid && owner.startedAt === mine.startedAt) await rm(path, { force: true });
    },
  };
}
