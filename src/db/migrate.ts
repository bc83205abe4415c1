import { fileURLToPath } from 'node:url';
import { drizzle } from 'drizzle-orm/postgres-js';
import { migrate as runMigrations } from 'drizzle-orm/postgres-js/migrator';
import postgres from 'postgres';
import { createDatabase } from './client.ts';
import { databaseErrorCode } from './errors.ts';
import { ensureRoles, grantStatements, type RolePasswords } from './roles.ts';

/** One migration at a time per database, whoever asks. */
const MIGRATION_LOCK = 7_302_118;
/** Catalog rows of roles are shared by all databases of a server, and locks are not. */
const ROLE_ATTEMPTS = 20;
/** Generated SQL, in the order of its journal. */
export const MIGRATIONS_FOLDER = fileURLToPath(new URL('../../drizzle', import.meta.url));

export type MigrateOptions = {
  /** Login that owns the schemas: may create them, and roles unless `rolePasswords` is absent. */
  ownerUrl: string;
  /** Absent: the roles exist already (managed Postgres) and keep their passwords. */
  rolePasswords?: RolePasswords;
  migrationsFolder?: string;
};

/**
 * Brings schema, roles and grants to the newest state; a second run changes nothing. Two processes
 * may call it at once. Needs Postgres 18 or newer (MAINTAIN, uuidv7); says so otherwise.
 */
export async function migrate(options: MigrateOptions): Promise<void> {
  const lock = postgres(options.ownerUrl, { max: 1, onnotice: () => undefined });
  try {
    const [server] = await lock<{ version: number }[]>`
      select current_setting('server_version_num')::int as version`;
    if (server === undefined || server.version < 180_000) {
      throw new Error(`Postgres 18 or newer is needed, this is ${server?.version ?? 'unknown'}`);
    }
    await lock`select pg_advisory_lock(${MIGRATION_LOCK})`;
    await runMigrations(drizzle(lock), { migrationsFolder: options.migrationsFolder ?? MIGRATIONS_FOLDER });
    await grantRoles(options);
  } finally {
    // Ending the session also frees its lock.
    await lock.end({ timeout: 5 });
  }
}

async function grantRoles(options: MigrateOptions): Promise<void> {
  const owner = createDatabase(options.ownerUrl, { max: 1 });
  try {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await owner.sql.begin(async (tx) => {
          if (options.rolePasswords !== undefined) await ensureRoles(tx, options.rolePasswords);
          for (const statement of grantStatements()) await tx.unsafe(statement);
        });
        return;
      } catch (error) {
        // XX000 is "tuple concurrently updated": another database of this server sets the same roles.
        if (databaseErrorCode(error) !== 'XX000' || attempt === ROLE_ATTEMPTS) throw error;
        await new Promise((resolve) => setTimeout(resolve, 25 * attempt));
      }
    }
  } finally {
    await owner.close();
  }
}
