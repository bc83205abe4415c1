import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { adoptFileAtStart } from '../../src/activities/planning/config-source.ts';
import { coverageReader } from '../../src/api/provider-coverage.ts';
import { claimNight, insertClosedNight, listNights, setNightState } from '../../src/db/queries/nights.ts';
import { findRunRequest } from '../../src/db/queries/requests.ts';
import { insertTaskRuns, listTaskRuns } from '../../src/db/queries/task-runs.ts';
import { archiveFolder } from '../../src/runtime/env.ts';
import { openCommandLine } from '../support/command-line.ts';
import { testConfig } from '../support/house.ts';
import { eventually } from '../support/rig.ts';
import { newNight, newTaskRun } from '../support/rows.ts';
import { useApi } from './api-house.ts';
import { S } from './queue-house.ts';

const api = useApi();
let token: string;

beforeEach(async () => {
  api.desk.prepare();
  api.restart({ coverageOf: coverageReader(archiveFolder()) });
  ({ text: token } = await api.token('operator'));
});

const post = (path: string, headers = {}) => api.ask('POST', path, { token, headers });
const newestRun = async () => (await listTaskRuns(api.desk.house.api.sql))[0];

describe('a run without a session', () => {
  it('is of the newest one there can be, also before any night', async () => {
    expect((await post('/scheduler/run_ingestion?wait=60')).status).toBe(200);
    expect(await newestRun()).toMatchObject({ task: 'ingestion', sessionDate: S, universe: 'tiny' });
    expect((await post('/scheduler/run_orchestrator?wait=60')).status).toBe(200);
    expect((await post('/scheduler/run_weekly_maintenance?wait=60')).status).toBe(200);
    expect(await newestRun()).toMatchObject({ task: 'weeklyMaintenance', state: 'succeeded' });
  });

  it('is not of a night that did not run or of an old one, and its universe is that of the newest that ran', async () => {
    const { sql } = api.desk.house.database;
    const ran = newNight({ sessionDate: '2018-01-05', universe: 'sample' });
    await claimNight(sql, ran);
    await setNightState(sql, { ...ran, state: 'succeeded', reason: null });
    const notRun = { universeVersion: '', reason: 'it did not run' };
    for (const night of [
      { ...newNight({ sessionDate: '2026-11-21', universe: 'tiny' }), state: 'no_session' as const },
      { ...newNight({ sessionDate: S, universe: '' }), state: 'failed' as const },
    ])
      await insertClosedNight(sql, { ...night, ...notRun });
    const second = newNight({ sessionDate: S, universe: 'sp500' });
    await insertClosedNight(sql, { ...second, state: 'skipped', reason: 'already running' });
    const { body } = await post('/scheduler/run_ingestion');
    const { run_id: runId } = body as { run_id: string };
    expect(await findRunRequest(sql, runId)).toMatchObject({ sessionDate: S, universe: 'sample' });
    expect(await post('/scheduler/run_overnight_scanner')).toMatchObject({
      status: 409,
      body: { detail: expect.stringContaining(`training did not succeed for ${S} (sample)`) as string },
    });

    const line = await openCommandLine({
      urls: api.desk.house.urls,
      namespace: api.desk.rig.namespace,
    });
    try {
      expect((await line.run('run-task', 'ingestion', '--no-wait', '--by', 'Ann')).words).toContain(
        `Requested ingestion of ${S}`,
      );
    } finally {
      await line.close();
    }
  });

  it('where the providers say nothing, is of the newest one that came in', async () => {
    api.restart({ coverageOf: coverageReader('/nowhere') });
    const run = newTaskRun({ task: 'ingestion', universe: 'tiny', sessionDate: '2018-02-01' });
    const { sql } = api.desk.house.owner;
    await insertTaskRuns(sql, [{ ...run, state: 'succeeded' }]);
    const { body } = await post('/scheduler/run_ingestion');
    const { run_id: runId } = body as { run_id: string };
    expect(await findRunRequest(sql, runId)).toMatchObject({ sessionDate: '2018-02-01' });
  });
});

describe('a configuration whose universe is a file', () => {
  let folder: string;
  let path: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'nightshift-universe-'));
    path = join(folder, 'mylist.json');
    await writeFile(path, JSON.stringify({ schemaVersion: 1, name: 'mylist', symbols: ['AAPL', 'GE'] }));
    const { house } = api.desk;
    await house.configure(testConfig({ nightshift: { universe: path } }));
    await adoptFileAtStart(house.database.sql, { path: house.deps.configPath, named: true });
    api.desk.prepare();
  });
  afterEach(async () => rm(folder, { recursive: true, force: true }));

  it('is run by default and by its name, also after a night of it', async () => {
    expect((await post('/scheduler/run_ingestion?wait=60')).status).toBe(200);
    await api.desk.rig.night({ universe: path, sessionDate: S });
    expect((await listNights(api.desk.house.api.sql))[0]).toMatchObject({ universe: 'mylist' });
    for (const query of ['?wait=60', '?wait=60&universe=mylist'])
      expect((await post(`/scheduler/run_orchestrator${query}`)).status).toBe(200);
    expect(await newestRun()).toMatchObject({ task: 'training', universe: 'mylist', state: 'succeeded' });
  });

  it('has tasks of its nights retried, and its sessions run again', async () => {
    const { sql } = api.desk.house.database;
    const failed = newTaskRun({ task: 'ingestion', universe: 'mylist', sessionDate: S, state: 'failed' });
    await insertTaskRuns(sql, [failed]);
    const why = { why: 'once more' };
    const retried = await api.ask('POST', `/api/v1/runs/${failed.taskRunId}/retry`, { token, body: why });
    const { run_id: runId } = retried.body as { run_id: string };
    await eventually('the retry has succeeded', async () => {
      const { body } = await api.ask('GET', `/api/v1/runs/${runId}`, { token });
      return (body as { state: string }).state === 'succeeded';
    });

    const backfill = '/api/v1/schedules/nightly/backfill';
    const range = { from: '2018-02-06', to: '2018-02-06' };
    const seen = await api.ask('GET', `${backfill}/preview?from=${range.from}&to=${range.to}`, { token });
    expect(seen).toMatchObject({ status: 200, body: { universe: 'mylist', nights: 1 } });
    const shown = (seen.body as { token: string }).token;
    const body = { ...range, universe: 'mylist', token: shown, ...why };
    expect(await api.ask('POST', backfill, { token, body })).toMatchObject({ status: 202 });
    await eventually('the night has run', async () => {
      const [night] = await listNights(sql, { sessionDate: range.from });
      return night?.universe === 'mylist' && night.state === 'succeeded';
    });
  });
});
