import { fileURLToPath } from 'node:url';
import { drizzle } from 'drizzle-orm/node-postgres';
import { migrate as runMigrations } from 'drizzle-orm/node-postgres/migrator';
import { createDatabase, type Queryable, type Sql } from './client.ts';
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
  const owner = createDatabase(options.ownerUrl, { max: 1 });
  try {
    await withLock(owner.sql, options);
  } finally {
    // Ending the session also frees its lock.
    await owner.close();
  }
}

async function withLock(sql: Sql, options: MigrateOptions): Promise<void> {
  const lock = await sql.reserve();
  try {
    const [server] = await lock<{ version: number }[]>`
      select current_setting('server_version_num')::int as version`;
    if (server === undefined || server.version < 180_000) {
      throw new Error(`Postgres 18 or newer is needed, this is ${server?.version ?? 'unknown'}`);
    }
    await lock`select pg_advisory_lock(${MIGRATION_LOCK})`;
    await applyMigrations(lock, options.migrationsFolder ?? MIGRATIONS_FOLDER);
    await grantRoles(options);
  } finally {
    lock.release();
  }
}

/** Applies the migrations of `migrationsFolder` that the database has not had yet. */
export async function applyMigrations(sql: Queryable, migrationsFolder: string): Promise<void> {
  await sql.exclusive(({ client }) => runMigrations(drizzle({ client }), { migrationsFolder }));
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
