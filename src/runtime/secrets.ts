import { randomBytes } from 'node:crypto';
import { chmod, readFile } from 'node:fs/promises';
import { z } from 'zod';
import { rolePassword } from '../../scripts/lib/role-passwords.mjs';
import type { RolePasswords } from '../db/roles.ts';
import { writeFileWhole } from './files.ts';

const password = z.string().min(32);
const schema = z.object({
  owner: password,
  ingest: password,
  pipeline: password,
  ml: password,
  maintenance: password,
  api: password,
});
export type Secrets = z.infer<typeof schema>;

const newPassword = (): string => randomBytes(32).toString('base64url');

/** Reads the secrets of a data folder, or makes them (mode 0600) at its first start. */
export async function ensureSecrets(path: string): Promise<Secrets> {
  const text = await readFile(path, 'utf8').catch(() => null);
  if (text !== null) {
    await chmod(path, 0o600);
    return schema.parse(JSON.parse(text));
  }
  const secrets: Secrets = {
    owner: newPassword(),
    ingest: newPassword(),
    pipeline: newPassword(),
    ml: newPassword(),
    maintenance: newPassword(),
    api: newPassword(),
  };
  await writeFileWhole(path, `${JSON.stringify(secrets, null, 2)}\n`, 0o600);
  return secrets;
}

/**
 * Passwords of our roles on an external Postgres: every machine that has `DATABASE_URL` finds the same ones.
 */
export function deriveRolePasswords(ownerUrl: string): RolePasswords {
  const ownerPassword = decodeURIComponent(new URL(ownerUrl).password);
  if (ownerPassword === '') {
    throw new Error(
      'DATABASE_URL has no password: set NIGHTSHIFT_DB_URL_INGEST, …_PIPELINE and the other roles',
    );
  }
  const derive = (role: string): string => rolePassword(ownerPassword, role);
  return {
    ingest: derive('ingest'),
    pipeline: derive('pipeline'),
    ml: derive('ml'),
    maintenance: derive('maintenance'),
    api: derive('api'),
  };
}
