import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { REVIEW_EXPIRED } from '../../src/contracts/wire/messages.ts';
import { configHash, effectiveConfig, parseConfigFile } from '../../src/contracts/schemas/config.ts';
import { createDatabase, type Database } from '../../src/db/client.ts';
import { readAlertPage, storeAlerts } from '../../src/db/queries/alert-rows.ts';
import { readFailedRunFacts, readNightFacts } from '../../src/db/queries/alerts.ts';
import { insertConfig } from '../../src/db/queries/configs.ts';
import { claimNight, findNight, setNightState } from '../../src/db/queries/nights.ts';
import { insertTaskRuns, type NewTaskRun, transitionTaskRuns } from '../../src/db/queries/task-runs.ts';
import type { Alert, AlertSeverity } from '../../src/domain/alert-rules.ts';
import { createTestDatabase, type TestDatabase, uniqueName } from '../support/env.ts';
import { testConfig } from '../support/house.ts';
import { newNight, newTaskRun } from '../support/rows.ts';

let database: TestDatabase;
let db: Database;

beforeAll(async () => {
  database = await createTestDatabase();
  db = createDatabase(database.urls.pipeline, { max: 2 });
});

afterAll(async () => {
  await db.close();
  await database.drop();
});

describe('alerts', () => {
  it('about a night of the past that a schedule was let run over count from its own start', async () => {
    const config = effectiveConfig(parseConfigFile(testConfig()));
    const frozen = configHash(config);
    await insertConfig(db.sql, { configHash: frozen, body: config });
    const nominalInstant = '2018-02-08T03:45:00Z';
    const night = newNight({ configHash: frozen, nominalInstant });
    await claimNight(db.sql, night);
    const nominalMs = async () =>
      (await readNightFacts(db.sql)).find(({ runId }) => runId === night.runId)?.nominalMs;
    const started = (await findNight(db.sql, night))?.startedAt ?? '';
    expect(await nominalMs()).toBeCloseTo(Date.parse(started) - config.misfireGraceTimeMs, -1);
    // One that was caught up in time keeps its nominal start.
    const owner = createDatabase(database.urls.owner, { max: 1 });
    await owner.sql`
      update ops.nights set started_at = nominal_instant + interval '10 seconds' where run_id = ${night.runId}`;
    await owner.close();
    expect(await nominalMs()).toBe(Date.parse(nominalInstant));
  });

  it('about a night that failed count successes after it only, of its session or a later one', async () => {
    const universe = uniqueName('u');
    const end = async (state: 'succeeded' | 'failed', sessionDate: string) => {
      const night = newNight({ universe, sessionDate });
      await claimNight(db.sql, night);
      await setNightState(db.sql, { ...night, state, reason: null });
    };
    const failed = async () =>
      (await readNightFacts(db.sql)).flatMap((night) =>
        night.universe === universe ? [night.sessionDate] : [],
      );
    // By hand it went well; the night of the same session and a backfill of the past do not.
    await end('succeeded', '2018-02-07');
    await end('failed', '2018-02-07');
    await end('failed', '2018-01-08');
    expect(await failed()).toEqual(['2018-01-08', '2018-02-07']);
    await end('succeeded', '2018-01-09');
    expect(await failed()).toEqual(['2018-02-07']);
    await end('succeeded', '2018-02-07');
    expect(await failed()).toEqual([]);
  });

  it('about runs of no night and reviews that expired last until the task has succeeded', async () => {
    const universe = uniqueName('u');
    const end = async (state: 'succeeded' | 'failed', about: Partial<NewTaskRun>) => {
      const run = newTaskRun({ universe, ...about });
      await insertTaskRuns(db.sql, [run]);
      await transitionTaskRuns(db.sql, [{ taskRunId: run.taskRunId, state, reason: run.reason }]);
      return run.taskRunId;
    };
    const failed = async () =>
      (await readFailedRunFacts(db.sql)).flatMap((run) => (run.universe === universe ? [run.taskRunId] : []));
    const ofNight = { nightWorkflowId: 'n', nightRunId: 'n' };
    await end('failed', { ...ofNight, reason: 'FitFailed: no rows' });
    expect(await failed()).toEqual([]);
    const expired = await end('failed', { ...ofNight, reason: `${REVIEW_EXPIRED}: FitFailed: no rows` });
    expect(await failed()).toEqual([expired]);
    const byHand = await end('failed', { reason: 'DataDefect' });
    const maintenance = await end('failed', { task: 'weeklyMaintenance' });
    expect(await failed()).toEqual([byHand, maintenance]);
    // A night of the same task that fails too is no recovery; one that succeeds is.
    await end('failed', { ...ofNight, reason: 'DataDefect' });
    expect(await failed()).toEqual([byHand, maintenance]);
    await end('succeeded', ofNight);
    expect(await failed()).toEqual([maintenance]);
  });

  it('that stand say what is the case now, and are told once', async () => {
    const about = { rule: 'coverage_low', key: uniqueName('coverage_low'), severity: 'warning' } as const;
    const store = async (sessionDate: string) => {
      const alert: Alert = { ...about, summary: `of ${sessionDate}`, details: { sessionDate } };
      const change = await storeAlerts(db.sql, { alerts: [alert], unknown: [], channelsOf: () => ['all'] });
      expect(change.resolved.filter(({ key }) => key === about.key)).toEqual([]);
    };
    await store('2018-02-06');
    await store('2018-02-07');
    const rows = await readAlertPage(db.sql, { state: 'all', after: null, limit: 50 });
    const mine = rows.filter(({ key }) => key === about.key);
    expect(mine).toMatchObject([
      { summary: 'of 2018-02-07', details: { sessionDate: '2018-02-07' }, deliveries: [{ kind: 'opened' }] },
    ]);
    expect(mine[0]?.deliveries).toHaveLength(1);
  });

  it('that become graver are told anew, also to who had not to know before', async () => {
    const about = {
      rule: 'night_failed',
      key: uniqueName('night_failed'),
      summary: 's',
      details: {},
    } as const;
    const alert = (severity: AlertSeverity): Alert => ({ ...about, severity });
    const store = async (...alerts: Alert[]) => {
      const channelsOf = ({ severity }: Pick<Alert, 'severity'>) =>
        severity === 'critical' ? ['all', 'pager'] : ['all', 'mild'];
      await storeAlerts(db.sql, { alerts, unknown: [], channelsOf });
      const rows = await readAlertPage(db.sql, { state: 'all', after: null, limit: 10 });
      return rows
        .filter(({ key }) => key === about.key)
        .toSorted((a, b) => a.alertId - b.alertId)
        .map(({ severity, resolvedAt, deliveries }) =>
          [
            `${severity} ${resolvedAt === null ? 'open' : 'over'}:`,
            ...deliveries.map(({ channel, kind }) => `${channel} ${kind}`).toSorted(),
          ].join(' '),
        );
    };
    expect(await store(alert('warning'))).toEqual(['warning open: all opened mild opened']);
    const outgrown = 'warning over: all opened mild opened mild resolved';
    const graver = [outgrown, 'critical open: all opened pager opened'];
    expect(await store(alert('critical'))).toEqual(graver);
    // A milder one is the same alert, seen again.
    expect(await store(alert('warning'))).toEqual(graver);
    expect(await store()).toEqual([
      outgrown,
      'critical over: all opened all resolved pager opened pager resolved',
    ]);
  });
});
