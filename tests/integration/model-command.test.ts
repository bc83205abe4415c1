import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ArtifactStore, createArtifactStore, objectKey } from '../../src/artifacts/store.ts';
import { createDatabase, type Database } from '../../src/db/client.ts';
import { promoteByGate } from '../../src/db/queries/promotions.ts';
import { listAudit } from '../../src/db/queries/requests.ts';
import { findCurrentVersion, insertModelVersion } from '../../src/db/queries/training.ts';
import { type CommandLine, openCommandLine } from '../support/command-line.ts';
import { createTestDatabase, type TestDatabase } from '../support/env.ts';

let database: TestDatabase;
let line: CommandLine;
let owner: Database;
let artifacts: ArtifactStore;

/** An instance of one test each: the history of promotions is append-only. */
beforeEach(async () => {
  database = await createTestDatabase();
  line = await openCommandLine({ urls: database.urls });
  artifacts = createArtifactStore(line.runtime.artifactUrl);
  owner = createDatabase(database.urls.owner, { max: 2 });
  await owner.sql`
    insert into market.sessions (session_date, open_at, close_at, early_close)
    select day, day + time '14:30', day + time '21:00', false
    from generate_series(date '2018-01-22', date '2018-02-16', interval '1 day') as days (day)
    where extract(isodow from day) < 6`;
});
afterEach(async () => {
  await owner.close();
  await line.close();
  await database.drop();
});

const cli = (...args: string[]): Promise<{ code: unknown; words: string }> => line.run('model', ...args);
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
      survivorship: 'biased',
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

  it('wrong use ends with 2, says why and changes nothing', async () => {
    await train('A', '2018-01-29');
    for (const [args, why] of WRONG) {
      const { code, words } = await cli(...args);
      expect.soft(code, args.join(' ')).toBe(2);
      expect.soft(words).toMatch(why);
    }
    expect(await listAudit(owner.sql)).toEqual([]);
    expect(await currentAt('2018-02-05')).toBe('A');
  });
});

const WRONG: [string[], RegExp][] = [
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
];

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
