import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDatabase, type Database } from '../../src/db/client.ts';
import { classifyDatabaseError, databaseErrorCode } from '../../src/db/errors.ts';
import { migrate } from '../../src/db/migrate.ts';
import { type Role, ROLES } from '../../src/db/roles.ts';
import { createTestDatabase, type TestDatabase } from '../support/env.ts';

/** Refused by the database itself: a missing right, or a guard's trigger that says the same. */
const REFUSED = '42501';

let database: TestDatabase;
const open = new Map<Role | 'owner', Database>();
const sqlOf = (role: Role | 'owner') => {
  const known = open.get(role) ?? createDatabase(database.urls[role], { max: 1 });
  open.set(role, known);
  return known.sql;
};
const attempt = async (role: Role | 'owner', statement: string): Promise<string> => {
  try {
    // Rolled back: each statement meets the same rows.
    await sqlOf(role).begin(async (tx) => {
      await tx.unsafe(statement);
      throw new Error('allowed');
    });
    return 'allowed';
  } catch (error) {
    if (error instanceof Error && error.message === 'allowed') return 'allowed';
    if (classifyDatabaseError(error) === 'refused') return 'refused';
    throw new Error(`${role}: ${statement}: ${String(error)}`, { cause: error });
  }
};

const BAR = `insert into market.bars values ('AAA', '2018-02-07', 1, 1, 1, 1, 1, now(), 1, 1, 0)`;
const PREDICTION = `insert into turbomode.predictions (session_date, universe, universe_version, model_version,
  revision, symbol, base_rate, dataset_hash, feature_set_version, label_kind, horizon_sessions, simulated, task_run_id)
  values ('2018-02-07', 'u', 'v', 'm', 0, 'AAA', 0.5, 'd', 'f', 'excess', 1, false, 't')`;
const SIGNAL = `insert into turbomode.signals (session_date, universe, universe_version, model_version, revision,
  symbol, side, reason_code, reason_words, data_cutoff, feature_set_version, task_run_id)
  values ('2018-02-07', 'u', 'v', 'm', 0, 'AAA', 'hold', 'r', 'w', now(), 'f', 't')`;
const HOLDOUT = `insert into turbomode.holdout_openings (universe, quarter, first_session, last_session, sessions,
    calendar_sessions, predictions, without_outcome, ic_sessions, verdict, words, details, trials, opened_session, task_run_id)
  values ('AAA', '2017-Q4', '2017-10-02', '2017-12-29', 63, 63, 504, 0, 63, 'no_edge', 'w', '{}', 10, '2018-01-02', 't')`;
const AUDIT = `insert into ops.audit (actor, action, subject) values ('a', 'b', 'c')`;
const EVENT = `insert into ops.events (kind, subject) values ('k', 's')`;
const REQUEST = `insert into ops.run_requests (request_id, task, session_date, universe, requested_by)
  values ('r1', 'training', '2018-02-07', 'u', 'me')`;
const TASK_RUN = `update ops.task_runs set reason = 'x'`;

const BEAT = `insert into ops.liveness values ('ml', 'h', 1, now(), now())`;
/** A model worker reads, and says that it is alive. */
const ALL_BUT_ML = ROLES.filter((role) => role !== 'ml');

/** statement → roles that may do it; all others are refused. */
const RIGHTS: [string, Role[]][] = [
  ['select 1 from market.bars', [...ROLES]],
  ['select 1 from ops.task_runs', [...ROLES]],
  ['select 1 from turbomode.predictions', ['pipeline', 'ml', 'maintenance', 'api']],
  [BAR, ['ingest']],
  [`update market.bars set close = 2`, ['ingest']],
  ['delete from market.bars', []],
  ['truncate market.bars', []],
  [`insert into market.instruments (symbol, provider) values ('AAA', 'p')`, ['ingest']],
  [`update market.session_overrides set reason = 'x'`, ['ingest']],
  [`update market.bar_revisions set close = 2`, []],
  ['delete from market.bar_revisions', ['maintenance']],
  [`update market.split_revisions set new_shares = 2`, []],
  [`update market.dividend_revisions set amount = 2`, []],
  ['delete from market.fundamental_revisions', []],
  [PREDICTION, ['pipeline']],
  [`update turbomode.predictions set p_meta = 1`, []],
  ['delete from turbomode.predictions', ['maintenance']],
  ['truncate turbomode.predictions', []],
  [SIGNAL, ['pipeline']],
  [`update turbomode.signals set side = 'buy'`, []],
  [
    `insert into turbomode.model_promotions (universe, version, effective_from_session, kind, decided_by, why)
     values ('u', 'm', '2018-02-07', 'gate', 'gate', 'w')`,
    ['pipeline'],
  ],
  [`update turbomode.model_promotions set why = 'x'`, []],
  ['delete from turbomode.model_promotions', []],
  [HOLDOUT, ['pipeline']],
  [`update turbomode.holdout_openings set words = 'x'`, []],
  ['delete from turbomode.holdout_openings', []],
  ['delete from turbomode.model_versions', []],
  ['delete from turbomode.drift_log', ['maintenance']],
  [AUDIT, ALL_BUT_ML],
  [`update ops.audit set actor = 'x'`, []],
  ['delete from ops.audit', []],
  ['truncate ops.audit', []],
  // The API asks; configurations and decisions are written by who carries them out.
  [`insert into ops.configs values ('h', '{}')`, ['ingest', 'pipeline', 'maintenance']],
  [
    `insert into ops.config_applications (name, config_hash, applied_by) values ('n', 'h', 'me')`,
    ['ingest', 'pipeline', 'maintenance'],
  ],
  [
    `insert into ops.reviews (task_run_id, after_attempt, decision, decided_by, why) values ('t', 1, 'retry', 'me', 'w')`,
    ['ingest', 'pipeline', 'maintenance'],
  ],
  [`update ops.configs set body = '{}'`, []],
  [REQUEST, ALL_BUT_ML],
  [`update ops.run_requests set refused_reason = 'x'`, ['ingest', 'pipeline', 'maintenance']],
  [TASK_RUN, ['ingest', 'pipeline', 'maintenance']],
  [EVENT, ['ingest', 'pipeline', 'maintenance']],
  ['delete from ops.task_runs', []],
  [BEAT, ['ingest', 'pipeline', 'ml', 'maintenance']],
  ['update ops.liveness set beat_at = now()', ['ingest', 'pipeline', 'ml', 'maintenance']],
  ['delete from ops.liveness', ['maintenance']],
  ['delete from ops.schedule_state', ['pipeline']],
  ['delete from ops.alerts', ['maintenance']],
  ['delete from ops.alert_deliveries', ['maintenance']],
  ['delete from ops.api_sessions', ['maintenance']],
  [`select nextval('ops.events_event_id_seq')`, ALL_BUT_ML],
  ['create table market.mine (x int)', []],
  ['create table ops.mine (x int)', []],
  ['drop table ops.audit', []],
  ['alter table ops.audit disable trigger all', []],
];

beforeAll(async () => {
  database = await createTestDatabase();
  const owner = sqlOf('owner');
  await owner.unsafe(
    [BAR, PREDICTION, SIGNAL, AUDIT, EVENT, HOLDOUT].join(';').replaceAll(`'AAA'`, `'SEED'`),
  );
});

afterAll(async () => {
  await Promise.all([...open.values()].map((one) => one.close()));
  await database.drop();
});

describe.each(ROLES)('%s', (role) => {
  it.each(RIGHTS)('%s', async (statement, allowed) => {
    expect(await attempt(role, statement)).toBe(allowed.includes(role) ? 'allowed' : 'refused');
  });
});

it('a model worker can write its liveness and no other table', async () => {
  const writable = await sqlOf('ml')<{ name: string; verb: string }[]>`
    select schemaname || '.' || tablename as name, verb
    from pg_tables, unnest(array['insert', 'update', 'delete', 'truncate']) as verb
    where has_table_privilege(schemaname || '.' || tablename, verb)
      and schemaname in ('market', 'turbomode', 'ops')
    order by 1, 2`;
  expect(writable.map(({ name, verb }) => `${verb} ${name}`)).toEqual([
    'insert ops.liveness',
    'update ops.liveness',
  ]);
});

describe('vacuum', () => {
  it.each(ROLES)('as %s', async (role) => {
    // VACUUM of a table without the right is skipped with a warning: what counts is what was done.
    const before = await analyzedAt();
    await sqlOf(role)`vacuum (analyze) market.bars`;
    await expect
      .poll(async () => (await analyzedAt()) > before, { timeout: 3000 })
      .toBe(role === 'maintenance');
  });

  async function analyzedAt(): Promise<number> {
    const [row] = await sqlOf('owner')<{ count: number }[]>`
      select vacuum_count as count from pg_stat_user_tables where relname = 'bars'`;
    return row?.count ?? 0;
  }
});

describe('what was said stays said', () => {
  it('even for the owner, audit rows and predictions cannot be changed', async () => {
    for (const statement of [
      `update ops.audit set actor = 'x'`,
      'delete from ops.audit',
      'truncate ops.audit',
      `update turbomode.predictions set p_meta = 1`,
      'delete from turbomode.predictions',
      'truncate turbomode.signals',
      `update turbomode.holdout_openings set words = 'x'`,
      'delete from turbomode.holdout_openings',
      'truncate turbomode.holdout_openings',
    ]) {
      expect(await attempt('owner', statement), statement).toBe('refused');
    }
  });

  it('an audit row names the role that wrote it', async () => {
    const sql = sqlOf('api');
    const [row] = await sql<{ role: string }[]>`
      insert into ops.audit (actor, action, subject) values ('ann', 'x', 'y') returning role`;
    expect(row?.role).toBe('nightshift_api');
  });
});

describe('migrate', () => {
  it('run twice at once on a migrated database keeps every right and row', async () => {
    await Promise.all([
      migrate({ ownerUrl: database.urls.owner }),
      migrate({ ownerUrl: database.urls.owner }),
    ]);
    expect(await attempt('ingest', BAR.replace('AAA', 'BBB'))).toBe('allowed');
    expect(await attempt('pipeline', BAR.replace('AAA', 'BBB'))).toBe('refused');
    const [rows] = await sqlOf('owner')<{ count: number }[]>`select count(*) from turbomode.predictions`;
    expect(rows?.count).toBe(1);
  });

  it('creates everything once when two processes start on an empty database', async () => {
    const admin = createDatabase(database.urls.owner, { max: 1 });
    const name = `${database.name}_fresh`;
    await admin.sql.unsafe(`create database ${name}`);
    const url = new URL(database.urls.owner);
    url.pathname = `/${name}`;
    try {
      await Promise.all([migrate({ ownerUrl: url.href }), migrate({ ownerUrl: url.href })]);
      const fresh = createDatabase(url.href, { max: 1 });
      const [tables] = await fresh.sql<{ count: number }[]>`
        select count(*) from pg_tables where schemaname in ('market', 'turbomode', 'ops')`;
      expect(tables?.count).toBeGreaterThan(40);
      await fresh.close();
    } finally {
      await admin.sql.unsafe(`drop database if exists ${name} with (force)`);
      await admin.close();
    }
  });
});

it('a wrong password is refused, not transient', async () => {
  const url = new URL(database.urls.api);
  url.password = 'wrong';
  const wrong = createDatabase(url.href, { max: 1 });
  const error: unknown = await wrong.sql`select 1`.catch((caught: unknown) => caught);
  expect(classifyDatabaseError(error)).toBe('refused');
  expect(databaseErrorCode(error)).not.toBe(REFUSED);
  await wrong.close();
});
