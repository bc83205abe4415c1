import parsePrometheus from 'parse-prometheus-text-format';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createApi } from '../../src/api/app.ts';
import { API_TIMES } from '../../src/api/deps.ts';
import { newApiToken } from '../../src/contracts/api-tokens.ts';
import { configHash, parseConfigFile } from '../../src/contracts/schemas/config.ts';
import type { Task, TaskState } from '../../src/contracts/wire/names.ts';
import { createDatabase, type Database } from '../../src/db/client.ts';
import { findApiToken, insertApiToken } from '../../src/db/queries/api-tokens.ts';
import { applyConfig, CURRENT_FILE } from '../../src/db/queries/configs.ts';
import { DURATION_BOUNDS } from '../../src/db/queries/metrics.ts';
import { claimNight, setNightState } from '../../src/db/queries/nights.ts';
import { saveScheduleState } from '../../src/db/queries/schedule-state.ts';
import { insertTaskRuns } from '../../src/db/queries/task-runs.ts';
import { temporalAway } from '../support/api-away.ts';
import { createTestDatabase, type TestDatabase } from '../support/env.ts';
import { testConfig } from '../support/house.ts';
import { newNight, newTaskRun } from '../support/rows.ts';

let testDatabase: TestDatabase;
let owner: Database;
let pipeline: Database;
let api: Database;
const temporal = temporalAway();
let app: ReturnType<typeof createApi>;
let headers: Record<string, string>;
const requestLines: Record<string, unknown>[] = [];

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  owner = createDatabase(testDatabase.urls.owner, { max: 1 });
  pipeline = createDatabase(testDatabase.urls.pipeline, { max: 2 });
  api = createDatabase(testDatabase.urls.api, { max: 2 });
  app = createApi({
    sql: api.sql,
    findToken: (tokenId) => findApiToken(api.sql, tokenId),
    times: API_TIMES,
    pipelineSql: pipeline.sql,
    // The page needs no Temporal.
    client: temporal.client,
    log: (_level, message, fields) => void requestLines.push({ message, ...fields }),
    configPath: 'config/scheduler_config.json',
    limits: { tokenPerMinute: 1_000, anonymousPerMinute: 100 },
  });
  const { tokenId, secretHash, text } = newApiToken();
  await insertApiToken(api.sql, {
    tokenId,
    name: 'prometheus',
    role: 'viewer',
    secretHash,
    createdBy: 'Ann',
  });
  headers = { authorization: `Bearer ${text}` };
});
afterAll(async () => {
  await Promise.all([temporal, owner, pipeline, api].map((one) => one.close()));
  await testDatabase.drop();
});

type Sample = { value?: string; labels?: Record<string, string>; buckets?: Record<string, string> };

/** The families of the page: `name{label="value"}` → value. */
function read(text: string) {
  const families = new Map<string, { type: string; metrics: Sample[] }>();
  for (const { name, type, metrics } of parsePrometheus(text)) families.set(name, { type, metrics });
  return {
    families,
    /** Values of a family by its labels, joined in their order. */
    values: (name: string): Record<string, number> =>
      Object.fromEntries(
        (families.get(name)?.metrics ?? []).map(({ labels, value }) => [
          Object.values(labels ?? {}).join(' '),
          Number(value),
        ]),
      ),
  };
}

async function seed(): Promise<void> {
  const { sql } = pipeline;
  const file = parseConfigFile(testConfig({ maxConcurrentJobs: 3 }));
  const config = { configHash: configHash(file), body: file };
  await applyConfig(sql, { name: CURRENT_FILE, config, appliedBy: 'test' });
  for (const state of ['succeeded', 'succeeded', 'failed'] as const) {
    const night = newNight();
    await claimNight(sql, night);
    await setNightState(sql, { ...night, state, reason: null });
  }
  await claimNight(sql, newNight());
  const run = (task: Task, state: TaskState, reason: string | null = null) =>
    newTaskRun({ taskRunId: `${task}-${state}`, task, state, reason });
  await insertTaskRuns(sql, [
    run('ingestion', 'succeeded'),
    run('training', 'succeeded'),
    run('training', 'awaiting_review'),
    run('backtest', 'running'),
    run('overnightScan', 'waiting', 'for a slot'),
    run('driftMonitoring', 'waiting', 'for its time'),
  ]);
  await owner.sql`
    update ops.task_runs set started_at = now() - interval '1 hour 100 seconds',
      completed_at = now() - interval '1 hour', attempts = 3, result = '{"coverage": {"ratio": 0.875}}'
    where task_run_id = 'ingestion-succeeded'`;
  await owner.sql`
    update ops.task_runs set started_at = now() - interval '2 hours', completed_at = now() - interval '90 minutes',
      attempts = 1 where task_run_id = 'training-succeeded'`;
  await owner.sql`
    insert into ops.task_attempts (task_run_id, run_id, workflow_id, attempt, fence_attempt, state)
    values ('ingestion-succeeded', 'a', 'w', 1, 1, 'failed'), ('ingestion-succeeded', 'b', 'w', 2, 2, 'timed_out'),
      ('ingestion-succeeded', 'c', 'w', 3, 3, 'succeeded')`;
  await owner.sql`
    insert into ops.alerts (rule, key, severity, summary, resolved_at) values
      ('night_failed', 'a', 'critical', 's', null), ('night_failed', 'b', 'critical', 's', null),
      ('drift_alarm', 'c', 'warning', 's', null), ('drift_alarm', 'd', 'warning', 's', now())`;
  await saveScheduleState(sql, { scheduleId: 'nightly', paused: true, note: null, specHash: null });
  await saveScheduleState(sql, {
    scheduleId: 'weekly-maintenance',
    paused: false,
    note: null,
    specHash: null,
  });
}

describe('/metrics', () => {
  it('needs a token', async () => {
    expect((await app.request('/metrics')).status).toBe(401);
  });

  it('says what the rows say, and what was asked of this process', async () => {
    await seed();
    await app.request('/api/v1/nights', { headers });
    await app.request('/api/v1/nights/no-such-night', { headers });
    await app.request('/api/v1/nights/nor-this-one', { headers });
    await app.request('/nowhere/at/all', { headers });
    const response = await app.request('/metrics', { headers });
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    const text = await response.text();
    const { families, values } = read(text);
    expect(values('nightshift_nights')).toEqual({ succeeded: 2, failed: 1, running: 1 });
    expect(values('nightshift_task_runs')).toEqual({
      'ingestion succeeded': 1,
      'training succeeded': 1,
      'training awaiting_review': 1,
      'backtest running': 1,
      'overnightScan waiting': 1,
      'driftMonitoring waiting': 1,
    });
    expect(values('nightshift_task_attempts')).toEqual({
      'ingestion failed': 1,
      'ingestion timed_out': 1,
      'ingestion succeeded': 1,
    });
    expect(values('nightshift_task_retries_total')).toMatchObject({ ingestion: 2, training: 0 });
    expect(values('nightshift_slots')).toEqual({ '': 3 });
    expect(values('nightshift_slots_used')).toEqual({ '': 1 });
    expect(values('nightshift_queue_depth')).toEqual({ '': 1 });
    expect(values('nightshift_coverage_ratio')).toEqual({ '': 0.875 });
    expect(values('nightshift_alerts_open')).toEqual({
      'night_failed critical': 2,
      'drift_alarm warning': 1,
    });
    expect(values('nightshift_reviews_waiting')).toEqual({ '': 1 });
    expect(values('nightshift_schedule_paused')).toEqual({ nightly: 1, 'weekly-maintenance': 0 });
    const ages = values('nightshift_task_last_success_age_seconds');
    expect(ages['ingestion']).toBeGreaterThanOrEqual(3600);
    expect(ages['ingestion']).toBeLessThan(3660);
    // The parser keeps one series of a histogram; its lines are read for the others.
    expect(families.get('nightshift_task_duration_seconds')?.type).toBe('HISTOGRAM');
    const took = (task: string, le: string): string | undefined =>
      new RegExp(`^nightshift_task_duration_seconds_bucket\\{task="${task}",le="${le}"\\} (\\d+)$`, 'm').exec(
        text,
      )?.[1];
    expect(['60', '300', '[+]Inf'].map((le) => took('ingestion', le))).toEqual(['0', '1', '1']);
    const bounds = [...DURATION_BOUNDS.map(String), '[+]Inf'];
    expect(bounds.map((le) => took('training', le)).join('')).toBe('00000011111');
    expect(text).toMatch(/^nightshift_task_duration_seconds_sum\{task="ingestion"\} 100$/m);
    expect(text).toMatch(/^nightshift_task_duration_seconds_count\{task="ingestion"\} 1$/m);
    expect(values('nightshift_http_requests_total')).toEqual({
      'GET /metrics 401': 1,
      'GET /api/v1/nights 200': 1,
      'GET /api/v1/nights/:runId 404': 2,
      'GET other 404': 1,
    });
    expect(families.get('nightshift_http_request_duration_seconds')?.type).toBe('HISTOGRAM');
    expect(values('process_resident_memory_bytes')['']).toBeGreaterThan(1e6);
  });

  it('counts rows once in five seconds', async () => {
    const before = read(await (await app.request('/metrics', { headers })).text());
    await claimNight(pipeline.sql, newNight());
    const after = read(await (await app.request('/metrics', { headers })).text());
    expect(after.values('nightshift_nights')).toEqual(before.values('nightshift_nights'));
    const asked = after.values('nightshift_http_requests_total')['GET /metrics 200'] ?? 0;
    expect(asked).toBe(2);
  });
});

describe('lines of requests', () => {
  it('say which run they are about', async () => {
    requestLines.length = 0;
    for (const path of ['nights/n-1', 'runs/t-1', 'runs?sessionDate=2018-02-07', 'nights?sessionDate=x'])
      await app.request(`/api/v1/${path}`, { headers });
    const ids = requestLines.map(({ runId, taskRunId, sessionDate }) => [runId, taskRunId, sessionDate]);
    expect(ids).toEqual([
      ['n-1', undefined, undefined],
      [undefined, 't-1', undefined],
      [undefined, undefined, '2018-02-07'],
      [undefined, undefined, undefined],
    ]);
  });
});
