import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { App } from '../../src/cli/app.ts';
import { discardNights } from '../../src/cli/discard.ts';
import { findOpenNights } from '../../src/cli/open-nights.ts';
import { createDatabase, type Database } from '../../src/db/client.ts';
import { listAudit } from '../../src/db/queries/requests.ts';
import { isRunClosed, startNight } from '../../src/temporal/verbs.ts';
import { createTestDatabase, type TestDatabase, testTemporal, uniqueName } from '../support/env.ts';

/** Nights without a worker: they are open on the server and have written no row, as after a kill in their first second. */
let connection: Connection;
let client: Client;
let testDatabase: TestDatabase;
let api: Database;
const universe = uniqueName('universe');
const wish = { sessions: ['2018-02-06'], universe, settleDelayMs: 0 };

beforeAll(async () => {
  connection = await Connection.connect({ address: testTemporal().address });
  client = new Client({ connection, namespace: testTemporal().namespace });
  testDatabase = await createTestDatabase();
  api = createDatabase(testDatabase.urls.api, { max: 1 });
});
afterAll(async () => {
  await api.close();
  await testDatabase.drop();
  await connection.close();
});

/** The open nights of this file: the server is shared with other tests. */
async function find() {
  const { same, others } = await findOpenNights({ client, sql: api.sql }, wish);
  const ours = ({ workflowId }: { workflowId: string }) => workflowId.endsWith(`/${universe}`);
  return { same: same.filter(ours), others: others.filter(ours) };
}

const app = (owned: boolean): Pick<App, 'runtime' | 'client' | 'database'> => ({
  client,
  database: api,
  // Of the instance only who owns it is looked at.
  runtime: { owned } as App['runtime'],
});

describe('a night that was interrupted before its first row', () => {
  it('is found by the session and universe of its id, and is cancelled with an audit row', async () => {
    const asked = await startNight(client, { trigger: 'cli', sessionDate: '2018-02-06', universe });
    const newest = await startNight(client, { trigger: 'cli', universe });
    await vi.waitFor(
      async () => {
        expect(await find()).toMatchObject({
          same: [{ ...asked, name: `2018-02-06, ${universe}` }],
          others: [{ ...newest, name: `the newest session, ${universe}` }],
        });
      },
      { timeout: 30_000, interval: 200 },
    );
    const { same, others } = await find();

    const nights = [...same, ...others];
    const refused = discardNights(app(false), { nights, by: 'Ann', why: undefined });
    await expect(refused).rejects.toThrow(
      /runs in the instance of another command.*--by NAME and --why TEXT/,
    );
    expect(await isRunClosed(client, asked)).toBe(false);
    expect(await listAudit(api.sql)).toEqual([]);

    // Without a worker nobody answers a cancellation: the run is ended as the server ends it.
    const ended = discardNights(app(false), { nights, by: 'Ann', why: 'wrong day' });
    for (const { workflowId, runId } of nights) {
      await vi.waitFor(
        async () => expect(await listAudit(api.sql, { subject: workflowId })).toHaveLength(1),
        { timeout: 30_000 },
      );
      await client.workflow.getHandle(workflowId, runId).terminate('no worker');
    }
    await ended;
    expect(await listAudit(api.sql)).toMatchObject(
      nights
        .map(({ workflowId }) => ({
          actor: 'Ann',
          action: 'night.cancel',
          subject: workflowId,
          why: 'wrong day',
        }))
        .toReversed(),
    );
    await vi.waitFor(async () => expect(await find()).toEqual({ same: [], others: [] }), { timeout: 30_000 });
  });
});
