import { defaultPayloadConverter } from '@temporalio/common';
import proto from '@temporalio/proto';
import { afterAll, beforeAll, expect, it } from 'vitest';

import type { IngestionActivities, IngestionPlan, TaskResult } from '../../src/contracts/activities.ts';
import { beginAttempt, finishAttempt } from '../../src/db/queries/attempts.ts';
import { readSymbolOutcomes } from '../../src/db/queries/symbol-outcomes.ts';
import { IngestionHouse } from '../integration/ingestion-house.ts';
import { createFakes } from '../support/fakes.ts';
import { type History, useRig } from '../support/rig.ts';

const SYMBOLS = 5_000;
/** Of which the bundled archive has bars. */
const REAL = ['AAPL', 'AMZN', 'BAC', 'GE'];
/** The server refuses 2,000 pending, 51,200 events and payloads of 2 MiB. */
const LIMITS = { pending: 64, events: 4_096, eventBytes: 256 * 1024 };

const rigs = useRig();
let house: IngestionHouse;
beforeAll(async () => {
  house = await IngestionHouse.open();
});
afterAll(() => house.close());

/** Five thousand tickers, of which few exist. */
function manySymbols(): string[] {
  const letter = (index: number): string => String.fromCharCode(65 + (index % 26));
  const invented = Array.from(
    { length: SYMBOLS - REAL.length },
    (_, i) => `ZZ${letter(Math.floor(i / 676))}${letter(Math.floor(i / 26))}${letter(i)}`,
  );
  return [...REAL, ...invented].sort();
}

/** Ingestion of that universe: real workflow, activities and rows, but for those given here. */
async function ingest(settings: Record<string, number>, overrides: Partial<IngestionActivities> = {}) {
  const rig = rigs.current;
  const step = await house.begin({
    universe: rig.universe,
    sessionDate: '2018-02-06',
    symbols: manySymbols(),
    settings: { historySessions: 3, ingestion: { failureThreshold: 1, ...settings } },
  });
  const plans: IngestionPlan[] = [];
  const { sql } = house.db('pipeline');
  rig.use({
    ...createFakes().activities,
    ...house.activities,
    ...overrides,
    planIngestion: async (input) => {
      const plan = await house.activities.planIngestion(input);
      plans.push(plan);
      return plan;
    },
    beginAttempt: ({ fence }) => beginAttempt(sql, fence),
    finishAttempt: (input) => finishAttempt(sql, input),
  });
  const { fence: _, ...input } = step;
  const handle = await rig.client.workflow.start('ingestion', {
    workflowId: `ingestion/${rig.universe}`,
    taskQueue: 'pipeline',
    // Whoever began the row has had the first turn.
    args: [{ ...input, turn: 1 }],
  });
  const result: TaskResult = await handle.result();
  const [plan] = plans;
  if (plan === undefined) throw new Error('ingestion ended without a plan');
  return { taskRunId: step.taskRunId, plan, result, history: await handle.fetchHistory() };
}

const eventsOf = (history: History) => history.events ?? [];

/** Most activities that were scheduled and not closed at one time. */
function mostPending(history: History): number {
  const open = new Set<string>();
  let most = 0;
  for (const event of eventsOf(history)) {
    if (event.activityTaskScheduledEventAttributes) open.add(String(event.eventId));
    const closed =
      event.activityTaskCompletedEventAttributes ??
      event.activityTaskFailedEventAttributes ??
      event.activityTaskTimedOutEventAttributes ??
      event.activityTaskCanceledEventAttributes;
    if (closed) open.delete(String(closed.scheduledEventId));
    most = Math.max(most, open.size);
  }
  return most;
}

/** The symbols of each batch, as the worker of the queue got them. */
function batchesOf(history: History): string[][] {
  return eventsOf(history).flatMap(({ activityTaskScheduledEventAttributes: scheduled }) => {
    const payload = scheduled?.input?.payloads?.[0];
    if (scheduled?.activityType?.name !== 'ingestBatch' || !payload) return [];
    const input = defaultPayloadConverter.fromPayload<{ batch: { symbols: string[] } }>(payload);
    return [input.batch.symbols];
  });
}

/** Bytes of the largest event, which is more than its largest payload. */
function largestEvent(history: History): number {
  const { HistoryEvent } = proto.temporal.api.history.v1;
  return Math.max(...eventsOf(history).map((event) => HistoryEvent.encode(event).finish().length));
}

it('5,000 symbols of an ordinary night stay far from the limits of the server', async () => {
  const { taskRunId, plan, result, history } = await ingest({});
  expect(plan).toMatchObject({ symbols: SYMBOLS, parallelBatches: 2 });
  expect(mostPending(history)).toBe(plan.parallelBatches);
  expect(eventsOf(history).length).toBeLessThan(LIMITS.events);
  expect(largestEvent(history)).toBeLessThan(LIMITS.eventBytes);
  const batches = batchesOf(history);
  expect(batches).toEqual(plan.batches.map(({ symbols }) => symbols));
  expect(batches.flat()).toEqual(manySymbols());
  // Rows are what is told of each; what comes back over the wire names only some.
  const outcomes = await readSymbolOutcomes(house.sql, { taskRunId });
  expect(outcomes.map(({ symbol }) => symbol).sort()).toEqual(manySymbols());
  expect(result).toMatchObject({
    totalSymbols: SYMBOLS,
    successful: REAL.length,
    failed: SYMBOLS - REAL.length,
  });
  expect(result['failures']).toHaveLength(20);
  expect(await rigs.current.replayAll()).toBe(1);
});

it('whatever the configuration asks for', async () => {
  const { plan, history } = await ingest(
    { batchSymbols: 1, parallelBatches: SYMBOLS },
    {
      ingestBatch: async ({ batch: { symbols } }) => ({
        symbols: symbols.length,
        failedSymbols: 0,
        rowsFetched: 0,
        rowsChanged: 0,
      }),
      finishIngestion: async () => ({}),
    },
  );
  expect(mostPending(history)).toBe(plan.parallelBatches);
  expect(mostPending(history)).toBeLessThanOrEqual(LIMITS.pending);
  expect(eventsOf(history).length).toBeLessThan(LIMITS.events);
  expect(largestEvent(history)).toBeLessThan(LIMITS.eventBytes);
  expect(batchesOf(history).flat().sort()).toEqual(manySymbols());
  expect(await rigs.current.replayAll()).toBe(1);
});
