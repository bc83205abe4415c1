import { Connection } from '@temporalio/client';
import postgres from 'postgres';
import { describe, expect, it } from 'vitest';
import { createTestDatabase, testTemporal, uniqueName } from '../support/env.ts';

describe('servers of the test run', () => {
  it('gives each test a migrated database with the roles of the product', async () => {
    const [first, second] = await Promise.all([createTestDatabase(), createTestDatabase()]);
    expect(first.name).not.toBe(second.name);
    const sql = postgres(first.urls.pipeline, { max: 1 });
    const [row] =
      await sql`select current_user as role, (select count(*)::int from market.instruments) as rows`;
    expect(row).toEqual({ role: 'nightshift_pipeline', rows: 0 });
    await sql.end();
    await Promise.all([first.drop(), second.drop()]);
  });

  it('has a Temporal server that keeps closed runs for 30 days', async () => {
    const { address, namespace } = testTemporal();
    const connection = await Connection.connect({ address });
    const answer = await connection.workflowService.describeNamespace({ namespace });
    expect(Number(answer.config?.workflowExecutionRetentionTtl?.seconds)).toBe(30 * 86_400);
    expect(uniqueName('queue')).not.toBe(uniqueName('queue'));
    await connection.close();
  });
});
