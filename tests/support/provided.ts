import type { RolePasswords } from '../../src/db/roles.ts';

/** Migrated once per test run; test databases are copies of it. */
export const TEMPLATE_DATABASE = 'nightshift_template';

export type TestPostgres = { ownerUrl: string; rolePasswords: RolePasswords; templateError: string | null };

declare module 'vitest' {
  interface ProvidedContext {
    postgres: TestPostgres;
    temporalAddress: string;
    temporalUi: string;
    workflowBundlePath: string;
    /** A folder of this test run, removed at its end. */
    runFolder: string;
  }
}
