import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type ArtifactStore, createArtifactStore, objectKey } from '../../src/artifacts/store.ts';
import { main } from '../../src/cli/main.ts';
import { createDatabase, type Database } from '../../src/db/client.ts';
import { promoteByGate } from '../../src/db/queries/promotions.ts';
import { listAudit } from '../../src/db/queries/requests.ts';
import { findCurrentVersion, insertModelVersion } from '../../src/db/queries/training.ts';
import { type Runtime, startRuntime } from '../../src/runtime/embedded.ts';
import { createTestDatabase, type TestDatabase, testTemporal } from '../support/env.ts';

const ROLES_IN_ENV = ['ingest', 'pipeline', 'ml', 'maintenance', 'api'] as const;

let root: string;
let database: TestDatabase;
let runtime: Runtime;
let owner: Database;
let artifacts: ArtifactStore;

/** An instance whose database, Temporal server and artifact folder are those of one test: the history is append-only. */
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'nightshift-model-'));
  database = await createTestDatabase();
  vi.stubEnv('DATABASE_URL', database.urls.owner);
  for (const role of ROLES_IN_ENV) vi.stubEnv(`NIGHTSHIFT_DB_URL_${role.toUpperCase()}`, database.urls[role]);
  vi.stubEnv('TEMPORAL_ADDRESS', testTemporal().address);
  vi.stubEnv('TEMPORAL_NAMESPACE', testTemporal().namespace);
  vi.stubEnv('ARTIFACT_URL', pathToFileURL(join(root, 'artifacts')).href);
  runtime = await startRuntime({ dataDir: root, command: 'test', workers: { typescript: 0, ml: 0 } });
  artifacts = createArtifactStore(runtime.artifactUrl);
  owner = createDatabase(database.urls.owner, { max: 2 });
  await owner.sql`
    insert into market.sessions (session_date, open_at, close_at, early_close)
    select day, day + time '14:30', day + time '21:00', false
    from generate_series(date '2018-01-22', date '2018-02-16', interval '1 day') as days (day)
    where extract(isodow from day) < 6`;
});
afterEach(async () => {
  await owner.close();
  await runtime.stop();
  vi.unstubAllEnvs();
  await database.drop();
  await rm(root, { recursive: true, force: true });
});

/** Runs one command line; what it said and its exit code. */
async function cli(...args: string[]): Promise<{ code: unknown; words: string }> {
  const said: string[] = [];
  const keep = (text: unknown): void => void said.push(String(text));
  const spies = [
    vi.spyOn(console, 'log').mockImplementation(keep),
    vi.spyOn(console, 'error').mockImplementation(keep),
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => said.push(String(text)) > 0),
  ];
  try {
    await main(['node', 'nightshift', 'model', ...args, '--data-dir', root]);
    return { code: process.exitCode ?? 0, words: said.join('\n') };
  } finally {
    for (const spy of spies) spy.mockRestore();
    process.exitCode = undefined;
  }
}
const WHO = ['--by', 'Ann', '--why', 'looked at it'];

/** A trained version with its artifacts; the gate makes an accepted one current from its session on. */
async function train(version: string, sessionDate: string, accepted = true): Promise<string[]> {
  const hashes: string[] = [];
  for (const part of ['lightgbm', 'mlp', 'meta', 'oof']) {
    hashes.push((await artifacts.put(new TextEncoder().encode(`${part} of ${version}`))).hash);
  }
  const [lightgbm = '', mlp = '', metaHash = '', oofHash = ''] = hashes;
  const gate = { reason: accepted ? 'accepted: better' : 'refused: worse' };
  const key = { version, universe: 'tiny', featureSetVersion: 'f1', sessionDate };
  await owner.sql.begin(async (tx) => {
    await insertModelVersion(tx, {
      ...key,
      universeVersion: 'u1',
      datasetHash: 'd1',
      codeHash: 'c1',
      lockHash: 'l1',
      labelKind: 'excess',
      horizonSessions: 1,
      parameters: {},
      seed: 1,
      threads: 2,
      libraryVersions: {},
      platform: 'test',
      models: { lightgbm, mlp },
      metaHash,
      oofHash,
      verdicts: { meta: { verdict: 'no_edge' } },
      gate,
      accepted,
      createdByRun: 'run',
    });
    if (accepted) await promoteByGate(tx, { ...key, why: gate.reason });
  });
  return hashes;
}

const currentAt = async (sessionDate: string): Promise<string | undefined> =>
  (await findCurrentVersion(owner.sql, { universe: 'tiny', sessionDate }))?.version;

describe('nightshift model list', () => {
  it('marks the version the next night begins with, and says why one was rejected', async () => {
    expect(await cli('list')).toEqual({
      code: 0,
      words: 'no versions yet: a night with a training makes the first',
    });
    await train('A', '2018-01-29');
    await train('B', '2018-01-30', false);
    const { code, words } = await cli('list', '--universe', 'tiny');
    expect(code).toBe(0);
    expect(words).toMatch(/^\* +A +tiny +2018-01-29 +accepted +no_edge/m);
    expect(words).toMatch(/^ +B +tiny +2018-01-30 +rejected/m);
    expect(words).toContain('B was rejected: refused: worse');
    await cli('promote', 'B', ...WHO);
    expect((await cli('list')).words).toMatch(/^\* +B +tiny/m);
  });
});

describe('nightshift model promote', () => {
  it('makes a rejected version current from the next night on, with an audit row', async () => {
    await train('A', '2018-01-29');
    await train('B', '2018-02-02', false);
    expect(await cli('promote', 'B', ...WHO)).toEqual({
      code: 0,
      words: 'B is current for tiny from the night of 2018-02-05 on.',
    });
    // The night of Friday has used A already; the next session is Monday.
    expect(await currentAt('2018-02-02')).toBe('A');
    expect(await currentAt('2018-02-05')).toBe('B');
    expect(await listAudit(owner.sql)).toMatchObject([
      {
        actor: 'Ann',
        action: 'model.promote',
        subject: 'B',
        why: 'looked at it',
        role: 'nightshift_pipeline',
        details: { universe: 'tiny', instead: 'A', effectiveFromSession: '2018-02-05' },
      },
    ]);
  });

  it('keeps what a night without training of its own has used', async () => {
    await train('A', '2018-01-29');
    await train('B', '2018-01-30', false);
    await owner.sql`insert into turbomode.predictions (session_date, universe, universe_version, model_version,
        revision, symbol, base_rate, dataset_hash, feature_set_version, label_kind, horizon_sessions, simulated,
        task_run_id)
      values ('2018-02-01', 'tiny', 'u1', 'A', 1, 'XOM', 0.5, 'd1', 'f1', 'excess', 1, true, 'run')`;
    expect((await cli('promote', 'B', ...WHO)).words).toContain('from the night of 2018-02-02 on');
    expect(await currentAt('2018-02-01')).toBe('A');
  });

  it('refuses a version whose artifacts retention has removed, and names them', async () => {
    await train('A', '2018-01-29');
    const [lightgbm = '', , metaHash = ''] = await train('B', '2018-01-30', false);
    for (const hash of [lightgbm, metaHash]) await artifacts.delete(objectKey(hash));
    expect(await cli('promote', 'B', ...WHO)).toEqual({
      code: 2,
      words:
        'nightshift: version: B cannot become current, its artifacts were removed (lightgbm, the stack): ' +
        'train tiny of 2018-01-30 again',
    });
    expect(await currentAt('2018-02-05')).toBe('A');
    expect(await listAudit(owner.sql)).toEqual([]);
  });

  it.each([
    [['promote', 'X', ...WHO], /X is not known/],
    [['promote', 'A', ...WHO], /A is current for tiny already/],
    [['promote', 'A', '--universe', 'sample', ...WHO], /A is of universe tiny, not of sample/],
    [['promote', 'A', '--why', 'x'], /required option '--by <name>'/],
    [['promote', 'A', '--by', 'Ann'], /required option '--why <text>'/],
    [['promote', ...WHO], /missing required argument 'version'/],
    [['rollback', '--by', 'Ann'], /required option '--why <text>'/],
    [['rollback', ...WHO], /no version was current before A, there is nothing to go back to/],
    [['rollback', '--universe', 'sample', ...WHO], /sample has no version; there are some of tiny/],
    [['list', '--universe', 'sample'], /sample has no version; there are some of tiny/],
  ])('wrong use ends with 2 and says why: %j', async (args, why) => {
    await train('A', '2018-01-29');
    const { code, words } = await cli(...args);
    expect(code).toBe(2);
    expect(words).toMatch(why);
    expect(await listAudit(owner.sql)).toEqual([]);
    expect(await currentAt('2018-02-05')).toBe('A');
  });
});

describe('nightshift model rollback', () => {
  it('goes back step by step and never to and fro', async () => {
    await train('A', '2018-01-29');
    await train('B', '2018-01-30');
    await train('C', '2018-01-31');
    expect(await cli('rollback', ...WHO)).toEqual({
      code: 0,
      words: 'B is current for tiny again from the night of 2018-02-01 on, instead of C.',
    });
    expect((await cli('rollback', ...WHO)).words).toMatch(/^A is current for tiny again.*instead of B\.$/);
    expect(await cli('rollback', ...WHO)).toMatchObject({
      code: 2,
      words: expect.stringMatching(/no version was current before A/),
    });
    expect(await currentAt('2018-01-31')).toBe('C');
    expect(await currentAt('2018-02-01')).toBe('A');
    const audit = await listAudit(owner.sql);
    expect(audit.map(({ action, subject, actor }) => [action, subject, actor])).toEqual([
      ['model.rollback', 'A', 'Ann'],
      ['model.rollback', 'B', 'Ann'],
    ]);
    expect(audit[0]?.details).toMatchObject({ instead: 'B', effectiveFromSession: '2018-02-01' });
  });

  it('undoes a promotion and then what was before it', async () => {
    await train('A', '2018-01-29');
    await train('B', '2018-01-30');
    await cli('promote', 'A', ...WHO);
    expect((await cli('rollback', ...WHO)).words).toMatch(/^B is current/);
    expect((await cli('rollback', ...WHO)).words).toMatch(/^A is current/);
    expect((await cli('rollback', ...WHO)).code).toBe(2);
  });

  it('the gate of a later night decides again', async () => {
    await train('A', '2018-01-29');
    await train('B', '2018-01-30');
    await cli('rollback', ...WHO);
    await train('C', '2018-01-31');
    expect(await currentAt('2018-01-31')).toBe('C');
    expect((await cli('rollback', ...WHO)).words).toMatch(/^A is current for tiny again.*instead of C/);
  });
});
