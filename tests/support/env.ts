import { randomBytes } from 'node:crypto';
import { inject } from 'vitest';
import { createDatabase } from '../../src/db/client.ts';
import { type Role, ROLES, roleUrl } from '../../src/db/roles.ts';
import { TEMPLATE_DATABASE } from './provided.ts';

export type TestDatabase = {
  name: string;
  /** Login URLs: the owner and each role. */
  urls: Record<Role | 'owner', string>;
  /** Removes the database; open connections to it are cut. */
  drop(): Promise<void>;
};

/** A name no other test has, fit for task queues, workflow ids and databases. */
export function uniqueName(prefix: string): string {
  return `${prefix}-${randomBytes(6).toString('hex')}`;
}

/** Address of the Temporal server of this test run, its namespace, Web UI and the built workflow bundle. */
export function testTemporal(): {
  address: string;
  namespace: string;
  ui: string;
  workflowBundlePath: string;
} {
  return {
    address: inject('temporalAddress'),
    namespace: 'default',
    ui: inject('temporalUi'),
    workflowBundlePath: inject('workflowBundlePath'),
  };
}

/**
 * A migrated database of its own: empty, or a copy of another test's, to which nobody is connected. Call `drop` at
 * the end.
 */
export async function createTestDatabase(template: string = TEMPLATE_DATABASE): Promise<TestDatabase> {
  const { ownerUrl, rolePasswords, templateError } = inject('postgres');
  if (templateError !== null)
    throw new Error(`the template database could not be migrated:\n${templateError}`);
  const name = uniqueName('test').replace('-', '_');
  const admin = createDatabase(ownerUrl, { max: 1 });
  try {
    await admin.sql.unsafe(`create database ${name} template ${template}`);
  } finally {
    await admin.close();
  }
  const owner = new URL(ownerUrl);
  owner.pathname = `/${name}`;
  const roles = ROLES.map((role) => [
    role,
    roleUrl({ url: owner.href, role, password: rolePasswords[role] }),
  ]);
  return {
    name,
    urls: { owner: owner.href, ...Object.fromEntries(roles) } as TestDatabase['urls'],
    drop: async () => {
      const owned = createDatabase(ownerUrl, { max: 1 });
      await owned.sql.unsafe(`drop database if exists ${name} with (force)`);
      await owned.close();
    },
  };
}
