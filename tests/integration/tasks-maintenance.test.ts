import { mkdir, readdir, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createMaintenanceActivities } from '../../src/activities/maintenance/activities.ts';
import { objectKey } from '../../src/artifacts/store.ts';
import type { MaintenanceActivities } from '../../src/contracts/activities.ts';
import {
  insertDataset,
  insertFoldFits,
  insertModelVersion,
  insertPromotion,
  insertShapRows,
} from '../../src/db/queries/training.ts';
import { runActivity, TaskRig } from '../support/task-rig.ts';

const DAY_MS = 86_400_000;
const text = (value: string): Uint8Array => new TextEncoder().encode(value);

let rig: TaskRig;
let maintenance: MaintenanceActivities;

beforeAll(async () => {
  rig = await TaskRig.start();
  maintenance = createMaintenanceActivities({
    ...rig.deps('maintenance'),
    logFolder: join(rig.folder, 'logs'),
    tempFolders: [join(rig.folder, 'tmp')],
  });
});
afterAll(async () => {
  await rig.stop();
});

async function age(key: string, days: number): Promise<void> {
  const at = new Date(rig.now.getTime() - days * DAY_MS);
  await utimes(join(rig.artifactFolder, ...key.split('/')), at, at);
}

async function putOld(content: string, days = 10): Promise<string> {
  const { hash } = await rig.artifacts.put(text(content));
  await age(objectKey(hash), days);
  return hash;
}

/** A dataset's row with its two objects and one fold fit, as training leaves them. */
async function storeNight(sessionDate: string, foldKey: string): Promise<Record<string, string>> {
  const [datasetHash, parquetHash, modelHash, predictionsHash] = await Promise.all([
    putOld(`manifest ${sessionDate}`),
    putOld(`parquet ${sessionDate}`),
    putOld(`model ${foldKey}`),
    putOld(`predictions ${foldKey} ${sessionDate}`),
  ]);
  await rig.db('pipeline').sql.begin(async (tx) => {
    await insertDataset(tx, {
      datasetHash,
      parquetHash,
      sessionDate,
      universe: 'tiny',
      universeVersion: 'v1',
      featureSetVersion: 'f1',
      labelKind: 'excess',
      horizonSessions: 1,
      rows: 1,
      symbols: 1,
      sessions: 1,
      inputHash: `in ${sessionDate}`,
      manifest: {},
      coverage: {},
    });
    await insertFoldFits(tx, [
      {
        foldKey,
        kind: 'fold',
        model: 'lightgbm',
        datasetHash,
        blockIndex: 0,
        modelHash,
        predictionsHash,
        parameters: {},
        seed: 1,
        threads: 2,
        trainRows: 1,
        testRows: 1,
        trees: 1,
        fitSeconds: 1,
        cpuSeconds: 1,
      },
    ]);
  });
  return { datasetHash, parquetHash, modelHash, predictionsHash };
}

/** What a version needs to score and to be looked into, beside the dataset of its night. */
type VersionArtifacts = { models: string[]; metaHash: string; oofHash: string; shapHash: string };

/** A trained version as training leaves it: final fits, stack, out-of-fold table, explanation; old objects. */
async function storeVersion(
  version: string,
  night: { sessionDate: string; datasetHash: string; accepted: boolean },
): Promise<VersionArtifacts> {
  const { sessionDate, datasetHash, accepted } = night;
  const put = (part: string): Promise<string> => putOld(`${part} of ${version}`);
  const models = { lightgbm: await put('lightgbm'), mlp: await put('mlp') };
  const [metaHash, oofHash, shapHash] = [await put('meta'), await put('oof'), await put('shap')];
  await rig.db('pipeline').sql.begin(async (tx) => {
    await insertFoldFits(
      tx,
      Object.entries(models).map(([model, modelHash]) => ({
        foldKey: `final ${model} ${version}`,
        kind: 'final',
        model,
        datasetHash,
        blockIndex: -1,
        modelHash,
        predictionsHash: null,
        parameters: {},
        seed: 1,
        threads: 2,
        trainRows: 1,
        testRows: null,
        trees: null,
        fitSeconds: 1,
        cpuSeconds: 1,
      })),
    );
    await insertModelVersion(tx, {
      version,
      sessionDate,
      universe: 'tiny',
      universeVersion: 'v1',
      featureSetVersion: 'f1',
      datasetHash,
      codeHash: 'c1',
      lockHash: 'l1',
      labelKind: 'excess',
      horizonSessions: 1,
      parameters: {},
      seed: 1,
      threads: 2,
      libraryVersions: {},
      platform: 'test',
      models,
      survivorship: 'biased',
      metaHash,
      oofHash,
      verdicts: {},
      gate: {},
      accepted,
      createdByRun: 'run',
    });
    await insertShapRows(tx, [
      {
        taskRunId: 'run',
        version,
        model: 'lightgbm',
        shapHash,
        space: 'logOdds',
        additive: true,
        additivityMaxError: 0,
        top10: [],
        top20: [],
      },
    ]);
  });
  return { models: Object.values(models), metaHash, oofHash, shapHash };
}

describe('weekly maintenance', () => {
  it('vacuums the tables of all three schemas and tells their sizes', async () => {
    const step = await rig.begin({ task: 'weeklyMaintenance' });
    const { result, heartbeats } = await runActivity(maintenance, 'vacuumDatabase', step);
    const tables = result['tables'] as { table: string; bytesBefore: number; bytesAfter: number }[];
    const schemas = new Set(tables.map(({ table }) => table.split('.')[0]));
    expect(schemas).toEqual(new Set(['market', 'ops', 'turbomode']));
    expect(result['skipped']).toEqual([]);
    const [row] = await rig.db('owner').sql<{ missing: number }[]>`
      select count(*) as missing from pg_stat_user_tables
      where schemaname in ('market', 'turbomode', 'ops') and (last_vacuum is null or last_analyze is null)`;
    expect(row?.missing).toBe(0);
    expect(heartbeats.length).toBeGreaterThan(tables.length);
    await rig.finish(step);
  });

  it('keeps seven nights of datasets and two generations of fold models, frees the rest, deletes no row twice', async () => {
    const nights = [];
    const sessions = Array.from(
      { length: 9 },
      (_, index) => `2018-01-${String(10 + index).padStart(2, '0')}`,
    );
    for (const [index, session] of sessions.entries()) {
      nights.push(await storeNight(session, `fold ${index < 3 ? 'a' : index < 6 ? 'b' : 'c'}`));
    }
    const step = await rig.begin({ task: 'weeklyMaintenance' });
    const { result } = await runActivity(maintenance, 'applyRetention', step);
    expect(result).toMatchObject({ datasetsExpired: 2, foldFitsDeleted: 3 });
    const again = await runActivity(maintenance, 'applyRetention', step);
    expect(again.result).toMatchObject({ datasetsExpired: 0, foldFitsDeleted: 0 });

    const orphan = await putOld('nobody knows me');
    const young = (await rig.artifacts.put(text('written a moment ago'))).hash;
    await age(objectKey(young), 0.5);
    const { result: cleaned } = await runActivity(maintenance, 'cleanArtifacts', step);
    // Two datasets with manifest and Parquet, generation a with its model and three prediction tables, the orphan.
    expect(cleaned).toMatchObject({ deletedObjects: 9, deferred: null });
    expect(await rig.artifacts.has(orphan)).toBe(false);
    expect(await rig.artifacts.has(young)).toBe(true);
    const left = await Promise.all(
      nights.map(async ({ datasetHash = '' }) => rig.artifacts.has(datasetHash)),
    );
    expect(left).toEqual([false, false, true, true, true, true, true, true, true]);
    for (const { modelHash = '', predictionsHash = '' } of nights.slice(3)) {
      expect(await rig.artifacts.has(modelHash)).toBe(true);
      expect(await rig.artifacts.has(predictionsHash)).toBe(true);
    }
    await rig.finish(step);
  });

  it('keeps what accepted and promoted versions are made of for good, frees a rejected one with its night', async () => {
    const [accepted, promoted, rejected] = await Promise.all(
      (['accepted', 'promoted', 'rejected'] as const).map(async (name, index) => {
        const sessionDate = `2017-12-0${4 + index}`;
        const { datasetHash = '' } = await storeNight(sessionDate, `fold of ${name}`);
        const night = { sessionDate, datasetHash, accepted: name === 'accepted' };
        return { datasetHash, ...(await storeVersion(name, night)) };
      }),
    );
    await rig.db('pipeline').sql.begin((tx) =>
      insertPromotion(tx, {
        universe: 'tiny',
        version: 'promoted',
        effectiveFromSession: '2017-12-07',
        kind: 'promote',
        decidedBy: 'Ann',
        why: 'trusted',
      }),
    );
    const step = await rig.begin({ task: 'weeklyMaintenance' });
    const { result } = await runActivity(maintenance, 'applyRetention', step);
    // Their nights are long past: datasets, folds and the rows of final fits go.
    expect(result).toMatchObject({ datasetsExpired: 3, foldFitsDeleted: 9 });
    await runActivity(maintenance, 'cleanArtifacts', step);
    const isThere = async (hashes: string[]): Promise<boolean[]> =>
      await Promise.all(hashes.map((hash) => rig.artifacts.has(hash)));
    for (const kept of [accepted, promoted]) {
      const { datasetHash = '', models = [], metaHash = '', oofHash = '', shapHash = '' } = kept ?? {};
      expect(await isThere([...models, metaHash, oofHash, shapHash])).toEqual([true, true, true, true, true]);
      expect(await isThere([datasetHash])).toEqual([false]);
    }
    const { datasetHash = '', models = [], metaHash = '', oofHash = '', shapHash = '' } = rejected ?? {};
    expect(await isThere([datasetHash, ...models, metaHash, oofHash])).toEqual([
      false,
      false,
      false,
      false,
      false,
    ]);
    expect(await isThere([shapHash])).toEqual([true]);
    await rig.finish(step);
  });

  it('removes logins and alerts that were over long ago, with their messages, and nothing that still counts', async () => {
    const owner = rig.db('owner').sql;
    const ago = (days: number): string => new Date(rig.now.getTime() - days * DAY_MS).toISOString();
    await owner`
      insert into ops.api_tokens (token_id, name, role, secret_hash, created_by)
      values ('t', 'Ann', 'viewer', 'h', 'Ann')`;
    const logins: [string, string, string | null][] = [
      ['expired long ago', ago(31), null],
      ['logged out long ago', ago(-1), ago(31)],
      ['expired lately', ago(29), null],
      ['logged out lately', ago(-1), ago(29)],
      ['logged in', ago(-1), null],
    ];
    for (const [hash, expires, ended] of logins)
      await owner`
        insert into ops.api_sessions (session_hash, token_id, expires_at, ended_at)
        values (${hash}, 't', ${expires}, ${ended})`;
    const alerts: [string, string, string | null, string[]][] = [
      ['enabled', 'enabled', ago(900), []],
      ['night_failed', 'over long ago', ago(366), ['sent', 'given_up']],
      ['night_failed', 'over long ago, not told yet', ago(366), ['sent', 'pending']],
      ['night_failed', 'over lately', ago(364), ['sent']],
      ['night_failed', 'open', null, ['sent']],
    ];
    for (const [rule, key, resolved, states] of alerts) {
      await owner`
        with alert as (
          insert into ops.alerts (rule, key, severity, summary, opened_at, resolved_at)
          values (${rule}, ${key}, 'info', 's', ${ago(1000)}, ${resolved}) returning alert_id)
        insert into ops.alert_deliveries (alert_id, channel, kind, state)
        select alert_id, state, 'opened', state from alert, unnest(${states}::text[]) as state`;
    }
    const step = await rig.begin({ task: 'weeklyMaintenance' });
    const { result } = await runActivity(maintenance, 'applyRetention', step);
    expect(result).toMatchObject({
      rowsDeleted: { 'ops.api_sessions': 2, 'ops.alerts': 1, 'ops.alert_deliveries': 2 },
      rules: { loginDays: 30, alertDays: 365 },
    });
    const left = await owner<{ name: string }[]>`
      select session_hash as name from ops.api_sessions union select key from ops.alerts`;
    expect(left.map(({ name }) => name).toSorted()).toEqual([
      'enabled',
      'expired lately',
      'logged in',
      'logged out lately',
      'open',
      'over lately',
      'over long ago, not told yet',
    ]);
    await rig.finish(step);
  });

  it('removes refs whose object is gone and old temporary files, leaves the rest', async () => {
    const kept = (await rig.artifacts.put(text('kept model'))).hash;
    await rig.artifacts.putRef('folds', 'good', { modelHash: kept, trainRows: 3 });
    await rig.artifacts.putRef('folds', 'dangling', { modelHash: 'f'.repeat(64) });
    await age('refs/folds/good.json', 3);
    await age('refs/folds/dangling.json', 3);
    await mkdir(join(rig.folder, 'tmp', 'deep'), { recursive: true });
    const files = [
      join(rig.folder, 'tmp', 'deep', 'old'),
      join(rig.artifactFolder, '.tmp-1'),
      join(rig.artifactFolder, 'abc#2'),
    ];
    for (const path of files) {
      await writeFile(path, 'left behind');
      await utimes(path, new Date(0), new Date(0));
    }
    await writeFile(join(rig.folder, 'tmp', 'new'), 'in use');
    await utimes(join(rig.folder, 'tmp', 'new'), rig.now, rig.now);
    const step = await rig.begin({ task: 'weeklyMaintenance' });
    const { result } = await runActivity(maintenance, 'cleanArtifacts', step);
    expect(result).toMatchObject({ temporaryFiles: 3, deletedRefs: 1 });
    expect(await rig.artifacts.getRef('folds', 'good')).not.toBeNull();
    expect(await rig.artifacts.getRef('folds', 'dangling')).toBeNull();
    expect(await readdir(join(rig.folder, 'tmp'))).toContain('new');
    await rig.finish(step);
  });

  it('deletes no artifact while another run is open, whose objects may not be in rows yet', async () => {
    const orphan = await putOld('made by a fit that is running');
    const open = await rig.begin({ task: 'training' });
    const step = await rig.begin({ task: 'weeklyMaintenance' });
    const { result } = await runActivity(maintenance, 'cleanArtifacts', step);
    expect(result['deletedObjects']).toBe(0);
    expect(result['deferred']).toMatch(/training 2018-02-07 tiny \(running\)/);
    expect(await rig.artifacts.has(orphan)).toBe(true);
    await rig.finish(open);
    await rig.finish(step);
  });

  it('archives old logs of the folder and of those of workers in it, and says where there is none', async () => {
    const logs = join(rig.folder, 'logs');
    await mkdir(logs, { recursive: true });
    await writeFile(join(logs, 'scheduler.log.2'), 'long ago\n');
    await utimes(join(logs, 'scheduler.log.2'), new Date(0), new Date(rig.now.getTime() - 31 * DAY_MS));
    await mkdir(join(logs, 'ml-2'));
    await writeFile(join(logs, 'ml-2', 'scheduler.log'), 'of a worker on its own\n');
    await utimes(join(logs, 'ml-2', 'scheduler.log'), new Date(0), new Date(rig.now.getTime() - 31 * DAY_MS));
    const step = await rig.begin({ task: 'weeklyMaintenance' });
    const { result } = await runActivity(maintenance, 'archiveLogs', step);
    expect(result).toMatchObject({
      archives: ['logs_archive_20180208T050000Z.zip', 'ml-2/logs_archive_20180208T050000Z.zip'],
      deletedOriginals: ['scheduler.log.2', 'ml-2/scheduler.log'],
    });
    expect((await stat(join(logs, 'logs_archive_20180208T050000Z.zip'))).size).toBeGreaterThan(0);
    const withoutLogs = createMaintenanceActivities(rig.deps('maintenance'));
    const { result: skipped } = await runActivity(withoutLogs, 'archiveLogs', step);
    expect(skipped).toHaveProperty('skipped');
    await rig.finish(step);
  });

  it('refuses to change anything for an attempt that is no longer the current one', async () => {
    const late = await rig.begin({ task: 'weeklyMaintenance' });
    const { taskRunId } = late;
    await rig.begin({ task: 'weeklyMaintenance', taskRunId, attempt: 2 });
    for (const name of ['applyRetention', 'vacuumDatabase', 'archiveLogs'] as const) {
      await expect(runActivity(maintenance, name, late)).rejects.toMatchObject({
        type: 'SupersededAttempt',
        nonRetryable: true,
      });
    }
  });
});
