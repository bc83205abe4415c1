import { readFile } from 'node:fs/promises';
import { generateDrizzleJson, generateMigration } from 'drizzle-kit/api';
import { expect, it } from 'vitest';
import * as schema from './index.ts';

const FOLDER = new URL('../../../drizzle/meta/', import.meta.url);

it('the newest migration has everything the schema says', async () => {
  const journal = JSON.parse(await readFile(new URL('_journal.json', FOLDER), 'utf8')) as {
    entries: { idx: number }[];
  };
  const newest = String(journal.entries.at(-1)?.idx ?? 0).padStart(4, '0');
  const snapshot = JSON.parse(
    await readFile(new URL(`${newest}_snapshot.json`, FOLDER), 'utf8'),
  ) as Parameters<typeof generateMigration>[0];
  const current = generateDrizzleJson(schema, snapshot.id, ['market', 'turbomode', 'ops']);
  expect(await generateMigration(snapshot, current)).toEqual([]);
});
