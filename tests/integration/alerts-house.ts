import { Client, Connection } from '@temporalio/client';
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { configHash, parseConfigFile } from '../../src/contracts/schemas/config.ts';
import { createDatabase, type Database, type Sql } from '../../src/db/client.ts';
import { readAlertPage } from '../../src/db/queries/alert-rows.ts';
import { applyConfig, CURRENT_FILE } from '../../src/db/queries/configs.ts';
import { claimNight, setNightState } from '../../src/db/queries/nights.ts';
import type { AlertsOptions } from '../../src/reconciler/alerts.ts';
import { HookReceiver } from '../support/alert-receivers.ts';
import { bundledMarket } from '../support/bundled-market.ts';
import { createTestDatabase, type TestDatabase, testTemporal, uniqueName } from '../support/env.ts';
import { testConfig } from '../support/house.ts';
import { newNight } from '../support/rows.ts';

export const HOOK_KEY = 'the-key-of-the-hook';

/** Rows and a receiver of messages for each test, a namespace without workers for all of a file. */
export function useAlertHouse() {
  let testDatabase: TestDatabase;
  let databases: { pipeline: Database; owner: Database; api: Database };
  let connection: Connection;
  let client: Client;
  let receiver: HookReceiver;
  const lines: { level: string; message: string; fields: Record<string, unknown> }[] = [];
  const variables: Record<string, string> = {};
  const sql = (): Sql => databases.pipeline.sql;

  beforeAll(async () => {
    connection = await Connection.connect({ address: testTemporal().address });
    const namespace = uniqueName('alerts');
    await connection.workflowService.registerNamespace({
      namespace,
      workflowExecutionRetentionPeriod: { seconds: 86_400 as never },
    });
    client = new Client({ connection, namespace });
  });
  afterAll(async () => connection.close());
  beforeEach(async () => {
    lines.length = 0;
    for (const name of Object.keys(variables)) delete variables[name];
    variables['HOOK_KEY'] = HOOK_KEY;
    testDatabase = await createTestDatabase();
    const { urls } = testDatabase;
    databases = {
      pipeline: createDatabase(urls.pipeline, { max: 4 }),
      owner: createDatabase(urls.owner, { max: 1 }),
      api: createDatabase(urls.api, { max: 2 }),
    };
    receiver = await HookReceiver.start();
  });
  afterEach(async () => {
    await receiver.stop();
    await Promise.all(Object.values(databases).map((one) => one.close()));
    await testDatabase.drop();
  });

  const readVariable = (name: string): string | null => variables[name] ?? null;
  const log: AlertsOptions['log'] = (level, message, fields) => void lines.push({ level, message, fields });
  const alerts = (state: 'open' | 'resolved' | 'all' = 'open') =>
    readAlertPage(sql(), { state, after: null, limit: 50 });
  return {
    /** As the pipeline role. */
    get sql(): Sql {
      return sql();
    },
    get owner(): Sql {
      return databases.owner.sql;
    },
    get api(): Sql {
      return databases.api.sql;
    },
    get client(): Client {
      return client;
    },
    get receiver(): HookReceiver {
      return receiver;
    },
    lines,
    /** What channels find in the environment. */
    variables,
    readVariable,
    log,
    alerts,
    /** Rules of the alerts, without those about workers, of which there are none here. */
    rules: async (state?: 'open' | 'resolved' | 'all') =>
      (await alerts(state)).map(({ rule }) => rule).filter((rule) => rule !== 'queue_unpolled'),
    hook: () => ({ name: 'hook', type: 'webhook', url: `${receiver.url}/hook`, secretEnv: 'HOOK_KEY' }),
    /** A configuration with these channels is in force. */
    configure: async (channels: object[], settings: object = {}): Promise<void> => {
      const file = parseConfigFile(testConfig({ nightshift: { alerts: { channels, ...settings } } }));
      const config = { configHash: configHash(file), body: file };
      await applyConfig(sql(), { name: CURRENT_FILE, config, appliedBy: 'test' });
    },
    surroundings: (change: Partial<AlertsOptions> = {}): AlertsOptions => ({
      client,
      sql: sql(),
      ...bundledMarket,
      log,
      readVariable,
      pulseMs: 20,
      firstRetryMs: 60,
      limitMs: 400,
      ...change,
    }),
    /** A night that ended in this state, with the reason. */
    endedNight: async (state: 'failed' | 'partial' | 'succeeded', about: object = {}) => {
      const night = newNight({ universe: 'tiny', ...about });
      await claimNight(sql(), night);
      const reason = state === 'succeeded' ? null : 'training failed (no rows)';
      await setNightState(sql(), { ...night, state, reason });
      return night;
    },
    /** Everything of ours that is stored or printed. */
    everythingSaid: async (): Promise<string> => {
      const rows = await databases.owner.sql`
        select (select jsonb_agg(a) from ops.alerts a)::text as alerts,
          (select jsonb_agg(d) from ops.alert_deliveries d)::text as deliveries,
          (select jsonb_agg(a) from ops.audit a)::text as audit`;
      return JSON.stringify([rows, lines]);
    },
  };
}
