import { createHmac } from 'node:crypto';
import { Client, Connection } from '@temporalio/client';
import { describe, expect, it } from 'vitest';
import { Deliveries } from '../../src/alerts/deliver.ts';
import { createApi } from '../../src/api/app.ts';
import { API_TIMES } from '../../src/api/deps.ts';
import { newApiToken } from '../../src/contracts/api-tokens.ts';
import { alertSettings, parseConfigFile } from '../../src/contracts/schemas/config.ts';
import { alertPulse } from '../../src/db/queries/alert-deliveries.ts';
import { alertsEnabledSince } from '../../src/db/queries/alert-rows.ts';
import { findApiToken, insertApiToken } from '../../src/db/queries/api-tokens.ts';
import { insertEvents } from '../../src/db/queries/events.ts';
import { claimNight, setNightState } from '../../src/db/queries/nights.ts';
import { saveScheduleState } from '../../src/db/queries/schedule-state.ts';
import { insertTaskRuns } from '../../src/db/queries/task-runs.ts';
import { createEvaluator, startAlerts } from '../../src/reconciler/alerts.ts';
import { testConfig } from '../support/house.ts';
import { eventually } from '../support/rig.ts';
import { newNight, newTaskRun } from '../support/rows.ts';
import { HOOK_KEY, useAlertHouse } from './alerts-house.ts';

const SLACK_PATH = '/services/T000/B000/slack-secret-path';
const SECRETS = [HOOK_KEY, 'slack-secret-path'];

const house = useAlertHouse();
const { configure, hook, surroundings, endedNight, alerts, rules, everythingSaid } = house;
const { lines, variables, readVariable, log } = house;

describe('alerts from rows to receivers', () => {
  it('are opened once, retried, and over when the rows say so; the receiver can check each message', async () => {
    variables['SLACK_URL'] = `${house.receiver.url}${SLACK_PATH}`;
    await configure([
      hook(),
      { name: 'slack', type: 'slack', urlEnv: 'SLACK_URL', rules: ['night_failed'] },
      { name: 'quiet', type: 'slack', urlEnv: 'NEVER_READ', severities: ['info'] },
    ]);
    await endedNight('failed', { sessionDate: '2018-02-05' });
    let refusals = 2;
    house.receiver.answer = ({ path }) => (path === '/hook' && refusals-- > 0 ? 500 : 200);
    const running = startAlerts(surroundings());
    // What ended before alerts were on raises nothing.
    await eventually(
      'alerts are on',
      async () => (await alerts('resolved'))[0]?.rule === ('enabled' as never),
    );
    const night = await endedNight('failed');
    const opened = await eventually('both are told', async () => {
      const [alert] = (await alerts()).filter(({ rule }) => rule === 'night_failed');
      return alert?.deliveries.every(({ state }) => state === 'sent') ? alert : undefined;
    });
    expect(opened).toMatchObject({
      key: 'night_failed/tiny/2018-02-07',
      severity: 'critical',
      summary: 'the night of 2018-02-07 (tiny) failed: training failed (no rows)',
      details: { runId: night.runId },
      deliveries: [
        { channel: 'hook', kind: 'opened', attempts: 3, lastError: null },
        { channel: 'slack', kind: 'opened', attempts: 1 },
      ],
    });
    // Seen again it is the same.
    await endedNight('partial');
    await eventually('it is seen again', async () => {
      const [alert] = (await alerts()).filter(({ rule }) => rule === 'night_failed');
      return alert !== undefined && alert.lastSeenAt > opened.lastSeenAt;
    });
    await endedNight('succeeded');
    await eventually(
      'its end is told',
      () => house.receiver.at('/hook').length === 4 && house.receiver.at(SLACK_PATH).length === 2,
    );
    await running.stop();
    const posts = house.receiver.at('/hook');
    for (const { headers, body } of posts) {
      const [, at = '', v1 = ''] =
        /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(headers['nightshift-signature'])) ?? [];
      expect(v1).toBe(createHmac('sha256', HOOK_KEY).update(`${at}.${body}`).digest('hex'));
      expect(Math.abs(Date.now() / 1000 - Number(at))).toBeLessThan(60);
    }
    const keys = posts.map(({ headers }) => headers['idempotency-key']);
    expect(new Set(keys.slice(0, 3)).size).toBe(1);
    expect(keys[3]).not.toBe(keys[0]);
    expect(posts.map(({ body }) => JSON.parse(body).kind)).toEqual([
      'opened',
      'opened',
      'opened',
      'resolved',
    ]);
    expect(JSON.parse(house.receiver.at(SLACK_PATH)[1]?.body ?? '').text).toMatch(
      /^\[RESOLVED\] night_failed: /,
    );
    expect(await rules()).toEqual([]);
    expect(lines.filter(({ message }) => message.includes('did not reach hook'))).toHaveLength(2);
    const said = await everythingSaid();
    for (const secret of SECRETS) expect(said).not.toContain(secret);
    expect(said).not.toContain(house.receiver.url);
  });

  it('survive the end of the process that sends them, and one that hangs holds up no other', async () => {
    variables['SLACK_URL'] = `${house.receiver.url}${SLACK_PATH}`;
    await configure([
      hook(),
      { name: 'slack', type: 'slack', urlEnv: 'SLACK_URL' },
      { name: 'log', type: 'log' },
    ]);
    await alertsEnabledSince(house.sql);
    await endedNight('failed');
    house.receiver.answer = ({ path }) => (path === '/hook' ? null : 200);
    const first = startAlerts(surroundings({ limitMs: 30_000 }));
    await eventually(
      'the others are told',
      () => house.receiver.at(SLACK_PATH).length === 1 && lines.length === 1,
    );
    await eventually('the hook hangs', () => house.receiver.at('/hook').length === 1);
    await first.stop();
    expect(lines).toMatchObject([{ level: 'CRITICAL', fields: { rule: 'night_failed', kind: 'opened' } }]);
    house.receiver.answer = () => 200;
    const second = startAlerts(surroundings());
    await eventually('the next one sends it', () => house.receiver.at('/hook').length === 2);
    await eventually('and notes it', async () =>
      (await alerts())[0]?.deliveries.every(({ state }) => state === 'sent'),
    );
    await second.stop();
    const [before, after] = house.receiver.at('/hook').map(({ headers }) => headers['idempotency-key']);
    expect(after).toBe(before);
    expect(house.receiver.at(SLACK_PATH)).toHaveLength(1);
  });

  it('are given up after hours, with their end; a channel that is gone at once', async () => {
    const channels = [hook(), { ...hook(), name: 'other', urlEnv: 'NOT_SET', url: undefined }];
    await configure(channels, { giveUpAfterHours: 2 });
    const evaluator = createEvaluator(surroundings());
    const file = () => testConfig({ nightshift: { alerts: { channels: [hook()], giveUpAfterHours: 2 } } });
    const settings = alertSettings(parseConfigFile(file()));
    const both = alertSettings(parseConfigFile(testConfig({ nightshift: { alerts: { channels } } })));
    await alertsEnabledSince(house.sql);
    await endedNight('failed');
    await evaluator.evaluate(both);
    house.receiver.answer = () => 302;
    const deliveries = new Deliveries({
      sql: house.sql,
      log,
      house: { log, readVariable },
      firstRetryMs: 0,
    });
    const states = async () =>
      Object.fromEntries(
        (await alerts('all')).flatMap((alert) =>
          alert.deliveries.map((one) => [`${one.channel} ${one.kind}`, [one.state, one.lastError]]),
        ),
      );
    const { dueChannels } = await alertPulse(house.sql);
    expect(dueChannels.toSorted()).toEqual(['hook', 'other']);
    // One attempt: what is due again at once would be tried for ever here.
    await house.owner`update ops.alert_deliveries set recorded_at = now() - interval '119 minutes'`;
    const slower = new Deliveries({ sql: house.sql, log, house: { log, readVariable } });
    slower.kick(both, dueChannels);
    await slower.settle();
    expect(await states()).toEqual({
      'hook opened': ['pending', 'the receiver answered 302'],
      'other opened': ['pending', 'the environment variable NOT_SET is not set'],
    });
    await endedNight('succeeded');
    await evaluator.evaluate(settings);
    expect(await states()).toMatchObject({
      'hook resolved': ['pending', null],
      'other opened': ['given_up', 'the channel is not configured any more'],
    });
    await house.owner`
      update ops.alert_deliveries set recorded_at = now() - interval '121 minutes', next_attempt_at = now()`;
    deliveries.kick(settings, ['hook']);
    await deliveries.settle();
    expect(await states()).toMatchObject({
      'hook opened': ['given_up', 'the receiver answered 302'],
      'hook resolved': ['given_up', 'the receiver answered 302'],
    });
    expect(lines.at(-1)).toMatchObject({ level: 'ERROR', fields: { channel: 'hook', attempts: 2 } });
  });
});

describe('facts', () => {
  const NOW = Date.parse('2018-02-08T05:00:00Z');

  it('of every rule are found in the rows, and heal', async () => {
    await configure([]);
    const settings = alertSettings(parseConfigFile(testConfig({ nightshift: { alerts: { channels: [] } } })));
    let nowMs = NOW;
    const evaluator = createEvaluator(surroundings({ now: () => nowMs }));
    await alertsEnabledSince(house.sql);
    await house.owner`update ops.alerts set opened_at = '2018-01-01T00:00:00Z'`;
    const enable = (paused: boolean) =>
      saveScheduleState(house.sql, { scheduleId: 'nightly', paused, note: 'a holiday', specHash: null });
    await enable(false);
    await house.owner`update ops.schedule_state set first_enabled_at = '2018-02-07T12:00:00Z'`;
    const { sql } = house;
    const late = newNight({
      universe: 'tiny',
      sessionDate: '2018-02-06',
      nominalInstant: '2018-02-07T03:45:00Z',
    });
    await claimNight(sql, late);
    const run = (taskRunId: string, about: object) =>
      newTaskRun({ taskRunId, universe: 'tiny', state: 'running', ...about });
    await insertTaskRuns(sql, [
      run('ingest', { task: 'ingestion', maxAttempts: 3 }),
      run('train', { task: 'training' }),
      run('drift', { task: 'driftMonitoring', maxAttempts: 3 }),
    ]);
    const ended = (id: string, result: object) => house.owner`
      update ops.task_runs set state = 'succeeded', started_at = '2018-02-08T04:00:00Z', result = ${house.owner.json(result as never)},
        completed_at = '2018-02-08T04:30:00Z', attempts = case when task = 'ingestion' then 3 else 1 end
      where task_run_id = ${id}`;
    await ended('ingest', { coverage: { ratio: 0.5, members: 8 } });
    await ended('drift', { alarms: 2, retrainingFlag: true, reasons: [{ words: 'volume moved' }] });
    await house.owner`
      update ops.task_runs set state = 'awaiting_review', review_deadline = '2018-02-08T05:30:00Z', started_at = now()
      where task_run_id = 'train'`;
    const event = {
      kind: 'session.missed',
      subject: 'tiny',
      details: { command: 'run it' },
      taskRunId: null,
    };
    await insertEvents(sql, [{ ...event, sessionDate: '2018-02-05' }]);
    await house.owner`update ops.events set recorded_at = '2018-02-06T12:00:00Z'`;
    await evaluator.evaluate(settings);
    expect((await rules()).toSorted()).toEqual([
      'coverage_low',
      'drift_alarm',
      'last_attempt',
      'night_late',
      'night_missed',
      'night_missed',
      'retraining_flag',
      'review_expiring',
      'review_waiting',
    ]);
    const missed = (await alerts()).filter(({ rule }) => rule === 'night_missed');
    expect(missed.map(({ details }) => String(details['sessionDate'])).toSorted()).toEqual([
      '2018-02-05',
      '2018-02-07',
    ]);
    expect((await alerts()).find(({ rule }) => rule === 'review_waiting')?.key).toBe(
      'review_waiting/train/0',
    );
    expect((await alerts()).find(({ rule }) => rule === 'coverage_low')?.summary).toBe(
      'only 50.0 % of 8 symbols (tiny) have a bar of 2018-02-07, less than 95.0 %',
    );
    // Everything turns out well.
    await setNightState(sql, { ...late, state: 'succeeded', reason: null });
    await claimNight(sql, newNight({ universe: 'tiny', sessionDate: '2018-02-07' }));
    await ended('ingest', { coverage: { ratio: 1, members: 8 } });
    await ended('drift', { alarms: 0, retrainingFlag: false, reasons: [] });
    await house.owner`update ops.task_runs set attempts = 1, state = 'succeeded', completed_at = now()`;
    await house.owner`update ops.events set handled_at = now()`;
    await evaluator.evaluate(settings);
    expect(await rules()).toEqual([]);
    // A pause on purpose raises something only after a day of it.
    await enable(true);
    await evaluator.evaluate(settings);
    expect(await rules()).toEqual([]);
    nowMs = Date.now() + 25 * 3_600_000;
    await evaluator.evaluate(settings);
    expect(await rules()).toContain('schedule_paused');
    await enable(false);
    await evaluator.evaluate(settings);
    expect(await rules()).not.toContain('schedule_paused');
  });

  it('of workers begin with their last beat, not with the look that misses them', async () => {
    await configure([]);
    const settings = alertSettings(parseConfigFile(testConfig({ nightshift: { alerts: { channels: [] } } })));
    const silent = async (startedAgoMs: number) => {
      let nowMs = Date.now() - startedAgoMs;
      const evaluator = createEvaluator(surroundings({ now: () => nowMs }));
      nowMs = Date.now();
      await evaluator.evaluate(settings);
      return (await alerts()).map(({ key }) => key);
    };
    await house.owner`
      insert into ops.liveness (process, host, pid, up_since, beat_at)
      values ('ml', 'desk', 4711, now() - interval '1 hour', now() - interval '130 seconds')`;
    // This process has just begun: maybe the machine was off.
    expect(await silent(1_000)).toEqual([]);
    expect(await silent(3_600_000)).toEqual(['queue_unpolled/ml']);
  });

  it('of workers come from Temporal: a queue nobody polls for minutes, also over a restart, until one does', async () => {
    await configure([]);
    const settings = alertSettings(parseConfigFile(testConfig({ nightshift: { alerts: { channels: [] } } })));
    let nowMs = Date.now();
    const evaluator = createEvaluator(surroundings({ now: () => nowMs }));
    const silent = async () => (await alerts()).map(({ key }) => key).toSorted();
    await evaluator.evaluate(settings);
    expect(await silent()).toEqual([]);
    nowMs += 121_000;
    await evaluator.evaluate(settings);
    const all = ['market-data', 'ml', 'pipeline'].map((queue) => `queue_unpolled/${queue}`);
    expect(await silent()).toEqual(all);
    const restarted = createEvaluator(surroundings({ now: () => nowMs }));
    await restarted.evaluate(settings);
    expect(await silent()).toEqual(all);
    const { namespace } = house.client.options;
    const polling = new AbortController();
    const ask = () =>
      house.client.workflowService.pollActivityTaskQueue({
        namespace,
        taskQueue: { name: 'ml' },
        identity: 'test',
      });
    const poll = house.client.withAbortSignal(polling.signal, () =>
      house.client.withDeadline(Date.now() + 60_000, ask).catch((error: unknown) => error),
    );
    const rest = all.filter((key) => !key.endsWith('/ml'));
    await eventually('the poll is seen', async () => {
      await restarted.evaluate(settings);
      return (await silent()).length === rest.length;
    });
    expect(await silent()).toEqual(rest);
    polling.abort();
    await poll;
    // Nobody can say what is with the workers while the server is away.
    const away = new Client({ connection: Connection.lazy({ address: '127.0.0.1:1' }) });
    await createEvaluator(surroundings({ client: away })).evaluate(settings);
    expect(await silent()).toHaveLength(2);
    expect(lines.at(-1)).toMatchObject({ level: 'WARNING' });
    expect(lines.at(-1)?.message).toMatch(/^alerts: workers are not known: ./);
  });
});

describe('the API', () => {
  it('lists alerts and tests channels', async () => {
    await configure([hook(), { name: 'broken', type: 'slack', urlEnv: 'NOT_SET' }]);
    const said: string[] = [];
    const app = createApi({
      sql: house.api,
      findToken: (tokenId) => findApiToken(house.api, tokenId),
      times: API_TIMES,
      pipelineSql: house.sql,
      client: house.client,
      log: (level, message) => void said.push(`${level} ${message}`),
      configPath: 'config/scheduler_config.json',
      limits: { tokenPerMinute: 1_000, anonymousPerMinute: 100 },
    });
    const token = async (role: 'viewer' | 'admin') => {
      const { tokenId, secretHash, text } = newApiToken();
      await insertApiToken(house.api, { tokenId, name: role, role, secretHash, createdBy: 'Ann' });
      return { authorization: `Bearer ${text}`, 'content-type': 'application/json' };
    };
    const [viewer, admin] = [await token('viewer'), await token('admin')];
    await alertsEnabledSince(house.sql);
    for (const sessionDate of ['2018-02-05', '2018-02-06', '2018-02-07'])
      await endedNight('failed', { sessionDate });
    const settings = alertSettings(
      parseConfigFile(testConfig({ nightshift: { alerts: { channels: [hook()] } } })),
    );
    await createEvaluator(surroundings()).evaluate(settings);
    const get = async (query: string) => {
      const response = await app.request(`/api/v1/alerts${query}`, { headers: viewer });
      return {
        status: response.status,
        body: (await response.json()) as { items: { key: string }[]; nextPageToken: string },
      };
    };
    const first = await get('?limit=2');
    expect(first.status).toBe(200);
    expect(first.body.items[0]).toMatchObject({
      rule: 'night_failed',
      resolvedAt: null,
      deliveries: [{ channel: 'hook', kind: 'opened', state: 'pending', attempts: 0, sentAt: null }],
    });
    const second = await get(`?limit=2&pageToken=${first.body.nextPageToken}`);
    expect([...first.body.items, ...second.body.items].map(({ key }) => key).toSorted()).toEqual(
      ['2018-02-05', '2018-02-06', '2018-02-07'].map((date) => `night_failed/tiny/${date}`),
    );
    expect((await get('?state=resolved')).body.items).toMatchObject([{ rule: 'enabled' }]);
    expect((await get('?rule=night_late')).body.items).toEqual([]);
    expect((await get('?state=none')).status).toBe(400);
    const foreign = Buffer.from(JSON.stringify(['2018-02-07T00:00:00Z', 'x'])).toString('base64url');
    expect((await get(`?pageToken=${foreign}`)).status).toBe(400);
    const test = (headers: Record<string, string>, body: object) =>
      app.request('/api/v1/alerts/test', { method: 'POST', headers, body: JSON.stringify(body) });
    expect((await test(viewer, {})).status).toBe(403);
    expect((await test(admin, { channel: 'nobody' })).status).toBe(404);
    process.env['HOOK_KEY'] = HOOK_KEY;
    const tested = await test(admin, {});
    delete process.env['HOOK_KEY'];
    expect(await tested.json()).toEqual({
      items: [
        { channel: 'hook', type: 'webhook', arrived: true, detail: 'arrived' },
        {
          channel: 'broken',
          type: 'slack',
          arrived: false,
          detail: 'the environment variable NOT_SET is not set',
        },
      ],
    });
    expect(JSON.parse(house.receiver.at('/hook')[0]?.body ?? '')).toMatchObject({ kind: 'test', version: 1 });
    const [act] =
      await house.owner`select actor, action, subject from ops.audit order by audit_id desc limit 1`;
    expect(act).toEqual({ actor: 'admin', action: 'alerts.test', subject: 'hook, broken' });
  });
});
