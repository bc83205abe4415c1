import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TaskResult } from '../../src/contracts/activities.ts';
import { configHash } from '../../src/contracts/schemas/config.ts';
import { insertConfig } from '../../src/db/queries/configs.ts';
import { findCurrentVersion } from '../../src/db/queries/training.ts';
import { type MlBridge, startMlBridge } from '../support/ml-bridge.ts';
import { TaskNight, type Trained } from '../support/task-night.ts';
import { TaskRig } from '../support/task-rig.ts';
import { QUICK_SETTINGS } from '../support/task-settings.ts';

const FIRST = '2018-01-29';
const BACKFILLED = '2018-01-30';
const REFUSED = '2018-01-31';
const NEWEST = '2018-02-06';

const NIGHT_TABLES = [
  'datasets',
  'session_features',
  'model_versions',
  'predictions',
  'signals',
  'matured_predictions',
  'backtest_runs',
  'backtest_metrics',
  'equity_curves',
];

type House = { rig: TaskRig; night: TaskNight };
type Night = { trained: TaskResult; scanned: TaskResult; tested: TaskResult };

let ml: MlBridge | undefined;
let here: House;
let universeVersion: string;
const nights = new Map<string, Night>();

async function open(): Promise<House> {
  const rig = await TaskRig.start({ settings: QUICK_SETTINGS });
  ml ??= startMlBridge(rig.artifacts.url);
  return { rig, night: new TaskNight(rig, ml.on(rig.artifacts.url)) };
}

async function run(house: House, session: string, change = (given: Trained) => given): Promise<Night> {
  universeVersion = await house.night.ingest(session);
  const trained = await house.night.train(session, universeVersion, { change });
  const scanned = await house.night.scan(session, universeVersion);
  const tested = await house.night.backtest(session, universeVersion);
  return { trained, scanned, tested };
}

/** A model whose explanations do not add up: the gate refuses the version. */
function spoiled(given: Trained): Trained {
  const explanations = given.explanations.map((one) =>
    one.model === 'mlp' ? { ...one, explanation: { ...one.explanation, additive: false } } : one,
  );
  return { ...given, explanations };
}

async function currentAt(sessionDate: string, house = here): Promise<string | undefined> {
  const { sql } = house.rig.db('api');
  return (await findCurrentVersion(sql, { universe: 'tiny', sessionDate }))?.version;
}

/** Content of the rows of a night, without what says when and by whom they were written. */
async function rowsOf({ rig }: House, sessionDate: string): Promise<Record<string, string>> {
  const { sql } = rig.db('owner');
  const prints: Record<string, string> = {};
  for (const table of NIGHT_TABLES) {
    const ofNight =
      table === 'backtest_metrics' || table === 'equity_curves'
        ? `backtest_id in (select backtest_id from turbomode.backtest_runs where session_date = $1)`
        : 'session_date = $1';
    const [row] = await sql.unsafe<{ rows: number; hash: string }[]>(
      `select count(*) as rows, md5(string_agg(body::text, '|' order by body::text)) as hash from (
        select to_jsonb(t) - array['recorded_at', 'known_at', 'created_at', 'written_at', 'created_by_run',
          'task_run_id'] as body
        from turbomode.${table} t where ${ofNight}) rows`,
      [sessionDate],
    );
    prints[table] = `${row?.rows} ${row?.hash}`;
  }
  return prints;
}

beforeAll(async () => {
  here = await open();
  nights.set(FIRST, await run(here, FIRST));
  nights.set(REFUSED, await run(here, REFUSED, spoiled));
}, 600_000);
afterAll(async () => {
  await ml?.stop();
  await here.rig.stop();
});

describe('a night that is filled in later', () => {
  it('does not change what a later night used: version, predictions, track record', async () => {
    const first = nights.get(FIRST)?.trained['modelVersion'];
    expect(nights.get(FIRST)?.trained).toMatchObject({ accepted: true });
    expect(nights.get(REFUSED)?.trained).toMatchObject({ accepted: false, comparedWith: first });
    expect(nights.get(REFUSED)?.scanned).toMatchObject({ modelVersion: first, written: true });
    const before = await rowsOf(here, REFUSED);

    nights.set(BACKFILLED, await run(here, BACKFILLED));
    const between = nights.get(BACKFILLED)?.trained['modelVersion'];
    expect(nights.get(BACKFILLED)?.trained).toMatchObject({ accepted: true, comparedWith: first });
    expect(await currentAt(FIRST)).toBe(first);
    expect(await currentAt(BACKFILLED)).toBe(between);
    expect(await currentAt(REFUSED)).toBe(first);
    expect(await currentAt('2018-02-01')).toBe(first);

    const again = await run(here, REFUSED, spoiled);
    expect(again.scanned).toMatchObject({ modelVersion: first, revision: 1, written: false });
    expect(again.tested['backtestId']).toBe(nights.get(REFUSED)?.tested['backtestId']);
    expect(await rowsOf(here, REFUSED)).toEqual(before);
  }, 300_000);

  it('says in the history of the pointer why a later night keeps its version', async () => {
    const rows = await here.rig.db('api').sql`
      select effective_from_session, version, kind, why from turbomode.model_promotions
      where universe = 'tiny' order by promotion_id`;
    expect(rows).toMatchObject([
      { effectiveFromSession: FIRST, why: expect.stringMatching(/^accepted/) },
      { effectiveFromSession: BACKFILLED, why: expect.stringMatching(/^accepted/) },
      {
        effectiveFromSession: REFUSED,
        version: nights.get(FIRST)?.trained['modelVersion'],
        kind: 'gate',
        why: expect.stringMatching(/^kept: 2018-01-31 was run before 2018-01-30 was decided for tiny-/),
      },
    ]);
  });

  it('trained again with other settings, is newest for itself alone', async () => {
    const { rig, night } = here;
    const { model } = rig.config;
    // Two blocks have no stack out of fold: as good as the current version to the last digit.
    const other = { ...rig.config, model: { ...model, meta: { ...model.meta, ridgeC: 2 } } };
    await insertConfig(rig.db('pipeline').sql, { configHash: configHash(other), body: other });
    const result = await night.train(FIRST, universeVersion, { configHash: configHash(other) });
    expect(result, String(result['gateReason'])).toMatchObject({ accepted: true });
    expect(result['modelVersion']).not.toBe(nights.get(FIRST)?.trained['modelVersion']);
    expect(await currentAt(FIRST)).toBe(result['modelVersion']);
    expect(await currentAt(BACKFILLED)).toBe(nights.get(BACKFILLED)?.trained['modelVersion']);
    expect(await currentAt(REFUSED)).toBe(nights.get(FIRST)?.trained['modelVersion']);
  }, 120_000);

  it('gives the rows it gives in an empty data folder, also after the newest night has run', async () => {
    const later = await open();
    try {
      const newest = await run(later, NEWEST);
      for (const session of [FIRST, BACKFILLED]) await run(later, session);
      expect(await currentAt(NEWEST, later)).toBe(newest.trained['modelVersion']);
      expect(await currentAt('2018-01-26', later)).toBeUndefined();
      // Its outcomes are written by the night after it, which has not run there yet.
      const outcomes = { matured_predictions: expect.any(String) };
      expect(await rowsOf(later, BACKFILLED)).toEqual({ ...(await rowsOf(here, BACKFILLED)), ...outcomes });
      // Here the first night has a second version, of other settings, by now.
      const other = { model_versions: expect.any(String) };
      expect(await rowsOf(later, FIRST)).toEqual({ ...(await rowsOf(here, FIRST)), ...other });
      const again = await run(later, NEWEST);
      expect(again.tested['backtestId']).toBe(newest.tested['backtestId']);
      expect(again.scanned).toMatchObject({ written: false });
    } finally {
      await later.rig.stop();
    }
  }, 600_000);
});
