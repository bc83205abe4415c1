import { afterAll, describe, expect, expectTypeOf, it } from 'vitest';
import { openApiAway } from '../../tests/support/api-away.ts';
import type { RunReport } from '../contracts/schemas/report.ts';
import { createClient } from './client.ts';
import type { ProblemDetails } from './problems.ts';

const api = openApiAway();
afterAll(() => api.close());
const asked: string[] = [];
const client = createClient('http://nightshift.test', api.token('operator').text, {
  fetch: async (input, init) => {
    const request = new Request(input, init);
    asked.push(`${request.method} ${request.url}`);
    return await api.app.request(request);
  },
});

describe('the typed client', () => {
  it('asks with its token and reads what a route says', async () => {
    const answer = await client.healthz.$get();
    expect(answer.status).toBe(200);
    if (answer.status !== 200) throw new Error('not reached');
    const health = await answer.json();
    expectTypeOf(health).toEqualTypeOf<{ status: 'ok' }>();
    expect(health).toEqual({ status: 'ok' });
    const document = await client['openapi.json'].$get();
    expect(document.status).toBe(200);
  });

  it('fills in path, query and body, and a refusal is a problem', async () => {
    asked.length = 0;
    const run = client.scheduler.run_task[':task_id'].$post({
      param: { task_id: '7' },
      query: { sessionDate: '2018-02-07', wait: '5' },
      header: { 'idempotency-key': 'tonight' },
    });
    const refused = await run;
    expect(refused.status).toBe(400);
    if (refused.status !== 400) throw new Error('not reached');
    const problem = await refused.json();
    expectTypeOf(problem).toEqualTypeOf<ProblemDetails>();
    expect(problem).toMatchObject({ errors: [{ field: 'task_id' }] });
    const { status } = await client.api.v1.schedules[':scheduleId'].pause.$post({
      param: { scheduleId: 'nightly' },
      json: { why: ' ' },
    });
    expect(status).toBe(400);
    expect(asked).toEqual([
      'POST http://nightshift.test/scheduler/run_task/7?sessionDate=2018-02-07&wait=5',
      'POST http://nightshift.test/api/v1/schedules/nightly/pause',
    ]);
  });

  it('knows the answers of every group of routes', () => {
    type Ok<Call extends (...input: never[]) => Promise<unknown>> =
      Extract<Awaited<ReturnType<Call>>, { status: 200 }> extends { json(): Promise<infer Body> }
        ? Body
        : never;
    expectTypeOf<Ok<typeof client.scheduler.status.$get>['running']>().toEqualTypeOf<boolean>();
    expectTypeOf<Ok<typeof client.scheduler.start.$post>['changes']>().toEqualTypeOf<string[]>();
    expectTypeOf<Ok<typeof client.scheduler.run_drift_monitor.$post>['task_id']>().toEqualTypeOf<number>();
    expectTypeOf<Ok<typeof client.api.v1.runs.$get>['nextPageToken']>().toEqualTypeOf<string | null>();
    type Report = Ok<(typeof client.api.v1.nights)[':runId']['$get']>;
    expectTypeOf<Report['signals'][number]['symbol']>().toEqualTypeOf<string>();
    expectTypeOf<Report['status']>().toEqualTypeOf<RunReport['status']>();
    // @ts-expect-error: there is no such call.
    expect(client.scheduler.lunch).toBeDefined();
    type Query = Parameters<typeof client.scheduler.run_ingestion.$post>[0]['query'];
    expectTypeOf<Query['wait']>().toEqualTypeOf<string | undefined>();
    type Review = Parameters<(typeof client.api.v1.runs)[':runId']['review']['$post']>[0]['json'];
    expectTypeOf<Review>().toEqualTypeOf<{ decision: 'retry' | 'skip' | 'abort'; why: string }>();
  });
});
