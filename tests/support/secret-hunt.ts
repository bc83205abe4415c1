import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import { createDatabase } from '../../src/db/client.ts';

/** A place and everything that can be read there. */
export type Found = { where: string; text: string };

/** Every file below a folder, as text. */
export async function filesBelow(folder: string): Promise<Found[]> {
  const found: Found[] = [];
  for (const name of await readdir(folder, { recursive: true })) {
    const where = join(folder, name);
    if ((await stat(where)).isFile()) found.push({ where, text: await readFile(where, 'utf8') });
  }
  return found;
}

/** All that the Temporal server says of a namespace: histories, memos, search attributes, schedules with their notes. */
export async function saidByTemporal(client: Client): Promise<Found[]> {
  const found: Found[] = [];
  for await (const { workflowId, runId } of client.workflow.list()) {
    const handle = client.workflow.getHandle(workflowId, runId);
    const [history, { raw }] = await Promise.all([handle.fetchHistory(), handle.describe()]);
    found.push({ where: `history of ${workflowId}`, text: legible(history) });
    found.push({ where: `description of ${workflowId}`, text: legible(raw) });
  }
  for await (const { scheduleId } of client.schedule.list()) {
    const { raw } = await client.schedule.getHandle(scheduleId).describe();
    found.push({ where: `schedule ${scheduleId}`, text: legible(raw) });
  }
  return found;
}

/** Every row of what ran and who acted, as text. */
export async function rowsOfOperations(ownerUrl: string): Promise<Found[]> {
  const database = createDatabase(ownerUrl, { max: 1 });
  const { sql } = database;
  try {
    const tables = await sql<{ name: string }[]>`
      select quote_ident(tablename) as name from pg_tables where schemaname = 'ops'`;
    const found: Found[] = [];
    for (const { name } of tables) {
      const rows = await sql.unsafe<{ text: string }[]>(`select t::text as text from ops.${name} t`);
      found.push({ where: `ops.${name}`, text: rows.map(({ text }) => text).join('\n') });
    }
    return found;
  } finally {
    await database.close();
  }
}

/** Where one of these secrets stands, as it is or encoded: `name: place`. */
export function placesOf(secrets: Record<string, string>, found: readonly Found[]): string[] {
  return Object.entries(secrets).flatMap(([name, secret]) => {
    const forms = [secret, encodeURIComponent(secret), Buffer.from(secret).toString('base64')];
    return found
      .filter(({ text }) => forms.some((form) => text.includes(form)))
      .map(({ where }) => `${name}: ${where}`);
  });
}

/** Messages of the server with their payloads as the text that they are. */
function legible(message: unknown): string {
  if (message instanceof Uint8Array) return Buffer.from(message).toString('utf8');
  if (Array.isArray(message)) return message.map(legible).join('\n');
  if (typeof message !== 'object' || message === null) return String(message);
  return Object.entries(message)
    .map(([name, value]) => `${name}: ${legible(value)}`)
    .join('\n');
}
