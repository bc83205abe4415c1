import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { createDatabase, type Queryable, type Tx } from './client.ts';
import { openCopyIn, openCopyOut } from './copy-stream.ts';
import { applyMigrations, MIGRATIONS_FOLDER } from './migrate.ts';
import { Identifier } from './statement.ts';

const SCHEMAS = ['market', 'turbomode', 'ops'];

/** A table of ours with the columns that hold its data (generated ones are computed again). */
export type TransferTable = { schema: string; table: string; columns: string[] };

/** All tables of our schemas, referenced ones before those that refer to them. */
export async function listTransferTables(sql: Queryable): Promise<TransferTable[]> {
  const tables = await sql<TransferTable[]>`
    select n.nspname as schema, c.relname as table,
           array_agg(a.attname::text order by a.attnum) as columns
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
    where c.relkind = 'r' and n.nspname = any(${SCHEMAS})
    group by 1, 2 order by 1, 2`;
  const references = await sql<{ child: string; parent: string }[]>`
    select cn.nspname || '.' || c.relname as child, pn.nspname || '.' || p.relname as parent
    from pg_constraint k
    join pg_class c on c.oid = k.conrelid join pg_namespace cn on cn.oid = c.relnamespace
    join pg_class p on p.oid = k.confrelid join pg_namespace pn on pn.oid = p.relnamespace
    where k.contype = 'f' and k.conrelid <> k.confrelid and cn.nspname = any(${SCHEMAS})`;
  return inDependencyOrder(tables, references);
}

/** Tables so that each comes after all it refers to. Throws when references form a circle. */
export function inDependencyOrder(
  tables: readonly TransferTable[],
  references: readonly { child: string; parent: string }[],
): TransferTable[] {
  const done = new Set<string>();
  const ordered: TransferTable[] = [];
  let left = [...tables];
  while (left.length > 0) {
    const ready = left.filter((table) =>
      references.every(({ child, parent }) => child !== nameOf(table) || done.has(parent)),
    );
    if (ready.length === 0) throw new Error(`tables refer to each other: ${left.map(nameOf).join(', ')}`);
    for (const table of ready) done.add(nameOf(table));
    ordered.push(...ready);
    left = left.filter((table) => !done.has(nameOf(table)));
  }
  return ordered;
}

/** `schema.table`. */
export function nameOf({ schema, table }: { schema: string; table: string }): string {
  return `${schema}.${table}`;
}

/** Number of rows, seen by this transaction. */
export async function countRows(tx: Tx, { schema, table }: TransferTable): Promise<number> {
  const [row] = await tx<{ rows: number }[]>`select count(*)::float8 as rows from ${tx(schema)}.${tx(table)}`;
  return row?.rows ?? 0;
}

/** The rows of a table in Postgres' COPY text format. Until they are read to the end, `tx` can do nothing else. */
export async function copyOut(tx: Tx, table: TransferTable): Promise<Readable> {
  return await openCopyOut(tx, `copy ${columnsOf(table)} to stdout`);
}

/** Takes rows in the same format. Numbers of identity columns are kept as they are given. */
export async function copyIn(tx: Tx, table: TransferTable): Promise<Writable> {
  return await openCopyIn(tx, `copy ${columnsOf(table)} from stdin`);
}

function columnsOf({ schema, table, columns }: TransferTable): string {
  return `${new Identifier(schema).text}.${new Identifier(table).text} (${new Identifier(columns).text})`;
}

export type SequenceState = { sequence: string; value: number };

/** Where the sequences of our schemas stand; those never used are left out. */
export async function readSequences(sql: Queryable): Promise<SequenceState[]> {
  return await sql<SequenceState[]>`
    select quote_ident(schemaname) || '.' || quote_ident(sequencename) as sequence, last_value::float8 as value
    from pg_sequences where schemaname = any(${SCHEMAS}) and last_value is not null order by 1`;
}

/** Sets sequences so that they go on behind what was restored. */
export async function writeSequences(sql: Queryable, states: readonly SequenceState[]): Promise<void> {
  for (const { sequence, value } of states) await sql`select setval(${sequence}::regclass, ${value}::bigint)`;
}

/** How many migrations a database has had; 0 for one of which we know nothing. */
export async function appliedMigrations(sql: Queryable): Promise<number> {
  const [known] = await sql<
    { name: string | null }[]
  >`select to_regclass('drizzle.__drizzle_migrations')::text as name`;
  if (known?.name === null || known === undefined) return 0;
  const [row] = await sql<
    { count: number }[]
  >`select count(*)::int as count from drizzle.__drizzle_migrations`;
  return row?.count ?? 0;
}

/** How many migrations this version of the product has. */
export async function knownMigrations(): Promise<number> {
  return (await readJournal(MIGRATIONS_FOLDER)).entries.length;
}

/**
 * Creates the schema as it was after the first `count` migrations, in an empty database: rows of an older
 * backup fit only there. The rest is applied afterwards by `migrate`.
 */
export async function createSchemaAt(input: { ownerUrl: string; count: number }): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'nightshift-migrations-'));
  const owner = createDatabase(input.ownerUrl, { max: 1 });
  try {
    await cp(MIGRATIONS_FOLDER, folder, { recursive: true });
    const journal = await readJournal(folder);
    if (journal.entries.length < input.count) {
      throw new Error(
        `the backup has ${input.count} migrations, this version knows ${journal.entries.length}: use a newer one`,
      );
    }
    const shortened = { ...journal, entries: journal.entries.slice(0, input.count) };
    await writeFile(join(folder, 'meta', '_journal.json'), JSON.stringify(shortened));
    await applyMigrations(owner.sql, folder);
  } finally {
    await owner.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function readJournal(folder: string): Promise<{ entries: unknown[] }> {
  const journal: unknown = JSON.parse(await readFile(join(folder, 'meta', '_journal.json'), 'utf8'));
  if (
    typeof journal === 'object' &&
    journal !== null &&
    'entries' in journal &&
    Array.isArray(journal.entries)
  ) {
    return { ...journal, entries: journal.entries };
  }
  throw new Error(`${folder}: no journal of migrations`);
}
