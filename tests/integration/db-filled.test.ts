import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { createDatabase, type Database } from '../../src/db/client.ts';
import { applyMigrations, migrate, MIGRATIONS_FOLDER } from '../../src/db/migrate.ts';
import { readCorporateActions, readFundamentals } from '../../src/db/queries/reference.ts';
import { createTestDatabase, type TestDatabase } from '../support/env.ts';

type Older = { database: TestDatabase; owner: Database; folder: string };
const made: Older[] = [];

/** A database as the migrations up to this number, counted from 0, left it. */
async function databaseAfter(lastMigration: number): Promise<Older> {
  const database = await createTestDatabase('template0');
  const folder = await mkdtemp(join(tmpdir(), 'nightshift-migrations-'));
  const owner = createDatabase(database.urls.owner, { max: 1 });
  made.push({ database, owner, folder });
  await cp(MIGRATIONS_FOLDER, folder, { recursive: true });
  const path = join(folder, 'meta', '_journal.json');
  const journal = JSON.parse(await readFile(path, 'utf8')) as { entries: { idx: number }[] };
  const entries = journal.entries.filter(({ idx }) => idx <= lastMigration);
  await writeFile(path, JSON.stringify({ ...journal, entries }));
  await applyMigrations(owner.sql, folder);
  return { database, owner, folder };
}

afterAll(async () => {
  for (const { database, owner, folder } of made) {
    await owner.close();
    await database.drop();
    await rm(folder, { recursive: true, force: true });
  }
});

it('what an older version stored is there after the migration, as first versions and as bars in quarantine', async () => {
  // The last migration before actions and statements had versions, and reviews stood in quarantine.
  const { database, owner } = await databaseAfter(5);
  const { sql } = owner;
  await sql`insert into market.splits (symbol, ex_date, new_shares, old_shares, provider, available_on)
    values ('AAPL', '2014-06-09', 7, 1, 'archive', '2014-06-09')`;
  await sql`insert into market.dividends (symbol, ex_date, amount, basis, provider, available_on)
    values ('AAPL', '2014-05-08', 3.29, 'asTraded', 'archive', '2014-05-08')`;
  await sql`insert into market.fundamentals (symbol, period_end, kind, provider, available_on, metrics, content_hash)
    values ('AAPL', '2013-09-28', 'annual', 'archive', '2013-12-27', '{"revenue":1}', 'h')`;
  await sql`insert into market.quarantine (symbol, session_date, provider, price_basis, codes, reason, raw, status,
      decided_by, decided_at, decision_reason, available_at)
    values ('SG', '2018-01-30', 'first', 'as-traded', '{ohlcOrder}', 'why', '[]', 'rejected', 'Ann', now(), 'x', now())`;
  await migrate({ ownerUrl: database.urls.owner });
  const asOf = { symbols: ['AAPL'], throughSession: '2018-02-07' };
  expect((await readCorporateActions(sql, asOf)).get('AAPL')).toEqual({
    splits: [
      { symbol: 'AAPL', exDate: '2014-06-09', newShares: 7, oldShares: 1, asked: [], confirmedBy: [] },
    ],
    dividends: [{ symbol: 'AAPL', exDate: '2014-05-08', cashAmount: 3.29, currency: 'USD' }],
  });
  expect(await readFundamentals(sql, asOf)).toMatchObject([
    { metrics: { revenue: 1 }, availableOn: '2013-12-27' },
  ]);
  const versions =
    await sql`select revision from market.splits union all select revision from market.dividends
    union all select revision from market.fundamentals`;
  expect(versions).toEqual([{ revision: 0 }, { revision: 0 }, { revision: 0 }]);
  // A question about the same symbol and date stands beside the decided bar.
  await sql`insert into market.quarantine (symbol, session_date, subject, provider, price_basis, codes, reason, raw,
      available_at)
    values ('SG', '2018-01-30', 'gap', 'first', 'as-traded', '{longGap}', 'why', '[]', now())`;
  const rows = await sql`select subject, status from market.quarantine order by subject`;
  expect(rows).toEqual([
    { subject: 'bar', status: 'rejected' },
    { subject: 'gap', status: 'pending' },
  ]);
  await expect(
    sql`update market.quarantine set subject = 'else' where subject = 'gap'`,
  ).rejects.toMatchObject({ code: '23514' });
});

it('models and metrics of an older version say what their universe says of survivorship', async () => {
  const { database, owner } = await databaseAfter(7);
  const { sql } = owner;
  await sql`insert into market.universes (universe, version, members, as_of, survivorship) values
    ('own', 'u1', '{A}', '2018-01-02', 'unbiased'), ('sp500', 'u2', '{A}', '2018-01-02', 'biased'),
    ('found', 'u3', '{A}', '2018-01-02', 'unknown')`;
  // Planned but never ingested: the stored list says it; where both are, the stored universe counts.
  await sql`insert into ops.universe_lists (universe, version, members, survivorship) values
    ('planned', 'u4', '{A}', 'unbiased'), ('sp500', 'u2', '{A}', 'unbiased')`;
  for (const [universe, version] of [
    ['own', 'u1'],
    ['sp500', 'u2'],
    ['found', 'u3'],
    ['planned', 'u4'],
    ['gone', 'u5'],
  ] as const) {
    await sql`insert into turbomode.model_versions (version, session_date, universe, universe_version,
        feature_set_version, dataset_hash, code_hash, lock_hash, label_kind, horizon_sessions, parameters, seed,
        threads, library_versions, platform, models, meta_hash, oof_hash, verdicts, gate, accepted, state,
        created_by_run)
      values (${`v-${universe}`}, '2018-01-30', ${universe}, ${version}, 'f', 'd', 'c', 'l', 'excess', 1, '{}', 1, 2,
        '{}', 'test', '{}', 'm', 'o', '{}', '{}', true, 'accepted', 'run')`;
    await sql`insert into turbomode.model_metrics (version, model, metric, value)
      values (${`v-${universe}`}, 'meta', 'ic', 0.01)`;
  }
  await migrate({ ownerUrl: database.urls.owner });
  for (const table of ['model_versions', 'model_metrics']) {
    const rows = await sql.unsafe(`select version, survivorship from turbomode.${table} order by version`);
    expect(rows).toEqual([
      { version: 'v-found', survivorship: 'biased' },
      { version: 'v-gone', survivorship: 'biased' },
      { version: 'v-own', survivorship: 'unbiased' },
      { version: 'v-planned', survivorship: 'unbiased' },
      { version: 'v-sp500', survivorship: 'biased' },
    ]);
    await expect(sql.unsafe(`update turbomode.${table} set survivorship = 'unknown'`)).rejects.toMatchObject({
      code: '23514',
    });
  }
});
