import type { Queryable, Sql } from '../client.ts';
import { jsonb } from '../client.ts';

export type StoredConfig = { configHash: string; body: unknown };

/** Stores a frozen configuration under its hash; a known one stays as it is. */
export async function insertConfig(sql: Queryable, config: StoredConfig): Promise<void> {
  await sql`
    insert into ops.configs (config_hash, body) values (${config.configHash}, ${sql.json(jsonb(config.body))})
    on conflict do nothing`;
}

/** The configuration with this hash; null if it was never stored. */
export async function findConfig(sql: Queryable, configHash: string): Promise<StoredConfig | null> {
  const [row] = await sql<StoredConfig[]>`
    select config_hash, body from ops.configs where config_hash = ${configHash}`;
  return row ?? null;
}

/** Name under which the file is applied that runs use now. */
export const CURRENT_FILE = 'file';

/** Two processes that apply at once do so one after the other. */
const APPLY_LOCK = 7_302_203;

/** Makes a configuration the current one of its kind of run; the same again adds no row. */
export async function applyConfig(
  sql: Sql,
  input: { name: string; config: StoredConfig; appliedBy: string },
): Promise<{ changed: boolean }> {
  return await sql.begin(async (tx) => {
    // A table lock would need rights that no role has on append-only rows.
    await tx`select pg_advisory_xact_lock(${APPLY_LOCK})`;
    await insertConfig(tx, input.config);
    const current = await currentConfigHash(tx, input.name);
    if (current === input.config.configHash) return { changed: false };
    await tx`
      insert into ops.config_applications (name, config_hash, applied_by)
      values (${input.name}, ${input.config.configHash}, ${input.appliedBy})`;
    return { changed: true };
  });
}

/** The newest application under `name`; null if there is none. */
export async function currentApplication(
  sql: Queryable,
  name: string,
): Promise<{ configHash: string; appliedBy: string } | null> {
  const [row] = await sql<{ configHash: string; appliedBy: string }[]>`
    select config_hash, applied_by from ops.config_applications where name = ${name}
    order by application_id desc limit 1`;
  return row ?? null;
}

/** Hash of the configuration applied last under `name`; null if there is none. */
export async function currentConfigHash(sql: Queryable, name: string): Promise<string | null> {
  return (await currentApplication(sql, name))?.configHash ?? null;
}
