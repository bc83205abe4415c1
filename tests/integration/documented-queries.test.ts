import { readFile } from 'node:fs/promises';
import { defaultPayloadConverter } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseConfigFile } from '../../src/contracts/schemas/config.ts';
import { NIGHT_TASKS, SCHEDULE_IDS, taskWorkflowId } from '../../src/contracts/wire/names.ts';
import { listNights } from '../../src/db/queries/nights.ts';
import { insertRunRequest } from '../../src/db/queries/requests.ts';
import { listTaskRuns } from '../../src/db/queries/task-runs.ts';
import { applySchedules } from '../../src/temporal/schedules.ts';
import { signalManualRun } from '../../src/temporal/verbs.ts';
import { createFakes } from '../support/fakes.ts';
import { type House, openHouse, testConfig } from '../support/house.ts';
import { eventually, useRig } from '../support/rig.ts';
import { deleteSchedules } from '../support/schedules.ts';

const SESSION = '2018-02-07';
const SCHEDULED = 'nightly-2018-02-08T03:45:00Z';
const rigs = useRig();
let house: House;

/** The queries that docs/temporal.md offers as filters, by the question that each answers. */
async function documentedQueries(): Promise<Map<string, string>> {
  const text = await readFile('docs/temporal.md', 'utf8');
  const [, table = ''] = /\n\| Question \| Query \|\n(.*?)\n\n/s.exec(text) ?? [];
  const rows = [...table.matchAll(/^\| (.*?) \| (`{1,2}) ?(.*?) ?\2 \|$/gm)];
  return new Map(rows.map(([, question = '', , query = '']) => [question, query]));
}

/** Workflow ids that a query finds, each once. */
async function found(query: string): Promise<string[]> {
  const ids = new Set<string>();
  for await (const { workflowId } of rigs.current.client.workflow.list({ query })) ids.add(workflowId);
  return [...ids].toSorted();
}

describe('the Temporal side of a scheduled night and of a run by hand', () => {
  beforeAll(async () => {
    const { client } = rigs.current;
    house = await openHouse({ client });
    rigs.current.use({ ...createFakes().activities, ...house.runs });
    const file = parseConfigFile(testConfig());
    await applySchedules({ client, sql: house.database.sql, file, by: 'Ann' });
    await client.schedule.getHandle(SCHEDULE_IDS.nightly).backfill({
      start: new Date('2018-02-08T03:44:59Z'),
      end: new Date('2018-02-08T03:45:00Z'),
    });
    await eventually(
      'the night has ended',
      async () => (await listNights(house.database.sql))[0]?.completedAt ?? undefined,
    );
    const request = { task: 'training', sessionDate: SESSION, universe: 'tiny', trigger: 'manual' } as const;
    const asked = { ...request, requestId: 'by-hand', force: false, configHash: null, requestedBy: 'Ann' };
    await insertRunRequest(house.api.sql, asked);
    await signalManualRun(client, asked);
    await eventually(
      'the run has ended',
      async () =>
        (await listTaskRuns(house.database.sql)).find(
          ({ taskRunId, state }) => taskRunId === 'by-hand' && state === 'succeeded',
        ) !== undefined,
    );
  });
  afterAll(async () => {
    await deleteSchedules(rigs.current.client);
    await house.close();
  });

  it('is summed up in words, and its current details name the session', async () => {
    const handle = rigs.current.client.workflow.getHandle(SCHEDULED);
    const { raw } = await handle.describe();
    const { summary, details } = raw.executionConfig?.userMetadata ?? {};
    expect(summary && defaultPayloadConverter.fromPayload(summary)).toBe('the night after the US close');
    expect(details && defaultPayloadConverter.fromPayload(details)).toContain('Current Details');
    const metadata = await handle.query<{ currentDetails?: string }>('__temporal_workflow_metadata');
    expect(metadata.currentDetails).toContain(`**Night of ${SESSION}, tiny (schedule): succeeded**`);
  });

  it('is found by every query of the documentation that is about it', async () => {
    const queries = await documentedQueries();
    expect(queries.size).toBeGreaterThanOrEqual(14);
    const tasks = NIGHT_TASKS.map((task) => taskWorkflowId(task, SESSION, 'tiny')).toSorted();
    const expected: Record<string, string[]> = {
      'Nights of a universe': [SCHEDULED],
      'All task runs of a session, each attempt a run of its own': tasks,
      'Tasks that were asked for by hand': ['manual/by-hand'],
      'Nights of a month': [SCHEDULED],
      'What the schedule started, or somebody with *trigger*': [SCHEDULED],
    };
    for (const [question, query] of queries) {
      const ids = expected[question] ?? [];
      await expect.poll(() => found(query), { timeout: 20_000, interval: 100 }).toEqual(ids);
    }
    expect(Object.keys(expected).filter((question) => !queries.has(question))).toEqual([]);
  });
});
