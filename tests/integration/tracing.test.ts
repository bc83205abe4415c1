import { readFile } from 'node:fs/promises';

import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { createQueueActivities } from '../../src/activities/queue.ts';
import { manualRunWorkflowId } from '../../src/contracts/wire/names.ts';
import { listTaskRuns } from '../../src/db/queries/task-runs.ts';
import { tracesUrl } from '../../src/runtime/env.ts';
import { connectClient, type TemporalClient } from '../../src/temporal/connection.ts';
import { startTracing, type Tracing } from '../../src/tracing/start.ts';
import { observed } from '../../src/worker/traced.ts';
import { HookReceiver } from '../support/alert-receivers.ts';
import { collectedSpans, pathUp } from '../support/collected-spans.ts';
import { testTemporal } from '../support/env.ts';
import { createFakes } from '../support/fakes.ts';
import { eventually } from '../support/rig.ts';
import { useApi } from './api-house.ts';
import { S } from './queue-house.ts';

const api = useApi();

const callers = ['4bf92f3577b34da6a3ce929d0e0e4736', '0af7651916cd43dd8448eb211c80319c'];
const SPAN = '00f067aa0ba902b7';
const LOCAL_ATTEMPTS = 4;
const problems: string[] = [];
let collector: HookReceiver;
let tracing: Tracing;
let temporal: TemporalClient;
let restless: string;
beforeAll(async () => {
  collector = await HookReceiver.start();
  const url = tracesUrl({ OTEL_EXPORTER_OTLP_ENDPOINT: `${collector.url}/` });
  const started = await startTracing({ url, service: 'test', onProblem: (text) => problems.push(text) });
  if (started === null) throw new Error('tracing is off');
  tracing = started;
  const { namespace } = api.desk.rig;
  temporal = connectClient({
    address: testTemporal().address,
    namespace,
    interceptors: [tracing.client],
  });
  await api.desk.rig.stopWorkers();
  const code = await readFile(testTemporal().workflowBundlePath, 'utf8');
  // A queue that continues as new between a wish and its grant.
  restless = code.replace(/(MAX_HISTORY_EVENTS = )1_?000;/, '$1 5;');
  expect(restless).not.toBe(code);
  api.desk.rig.observed = observed(tracing, restless);
  await api.desk.rig.startWorkers();
});
afterAll(async () => {
  await temporal.close();
  await collector.stop();
});

it('each run that is asked for is one trace, from its caller through the queue to the activities', async () => {
  const { rig, house } = api.desk;
  const { client } = temporal;
  let open: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const noRows = async () => [];
  const queue = createQueueActivities({ client, findSlotHolders: noRows, findSlotRequests: noRows });
  const { activities } = createFakes();
  let plans = 0;
  api.desk.prepare({
    ...queue,
    // Until a local activity has no try left: the plan goes on as an ordinary one, and still tells the session.
    planManualRun: async (input) => {
      plans += 1;
      if (plans <= LOCAL_ATTEMPTS) throw ApplicationFailure.retryable('no answer', 'DatabaseUnavailable');
      return house.runs.planManualRun(input);
    },
    ingestBatch: async (input) => {
      await gate;
      return activities.ingestBatch(input);
    },
  });
  api.restart({ client, tracing });
  const { text: token } = await api.token('operator');
  const runIds: string[] = [];
  for (const traceId of callers) {
    const headers = { traceparent: `00-${traceId}-${SPAN}-01`, baggage: 'secret=theirs' };
    const answer = await api.ask('POST', `/scheduler/run_ingestion?sessionDate=${S}`, { token, headers });
    runIds.push((answer.body as { run_id: string }).run_id);
    expect((await api.ask('GET', `/api/v1/runs/${token}`, { token, headers })).status).toBe(404);
    await eventually('it has its slot, or waits for it', async () => {
      const { holders, waiting } = await rig.queue();
      return holders.length + waiting.length === runIds.length;
    });
  }
  open();
  for (const id of runIds) await rig.client.workflow.getHandle(manualRunWorkflowId(id)).result();
  await rig.stopWorkers();
  await tracing.close();
  // Without tracing the same histories replay.
  rig.observed = { workflowBundle: { code: restless } };
  expect(await rig.replayAll()).toBeGreaterThan(6);
  expect(plans).toBe(LOCAL_ATTEMPTS + callers.length);
  rig.observed = {};

  const all = collectedSpans(collector);
  expect(new Set(all.map(({ traceId }) => traceId))).toEqual(new Set(callers));
  for (const [index, traceId] of callers.entries()) {
    const taskRunId = runIds[index] ?? '';
    const spans = all.filter((span) => span.traceId === traceId);
    const named = (name: string) => spans.find((span) => span.name === name);
    // A workflow task that is done again hands out the same span again, never another one under its id.
    const names = new Set(spans.map(({ spanId, name }) => `${spanId} ${name}`));
    expect(new Set(spans.map(({ spanId }) => spanId)).size).toBe(names.size);
    const asked = [
      'RunWorkflow:manualRun',
      'StartChildWorkflow:manualRun',
      'HandleSignal:manualRun',
      'SignalWithStartWorkflow:jobQueue',
      'POST /scheduler/run_ingestion',
      SPAN,
    ];
    const task = ['RunWorkflow:ingestion', 'StartChildWorkflow:ingestion', ...asked];
    // An ordinary activity, a local one, and the slot: through the queue and back to whoever waits for it.
    for (const [name, up] of [
      ['ingestBatch', task],
      ['beginAttempt', task],
      ['requestSlot', asked],
    ] as const)
      expect(pathUp(spans, named(`RunActivity:${name}`))).toEqual([
        `RunActivity:${name}`,
        `StartActivity:${name}`,
        ...up,
      ]);
    expect(pathUp(spans, named('HandleSignal:slotGranted')).slice(0, 5)).toEqual([
      'HandleSignal:slotGranted',
      'SignalWorkflow:slotGranted',
      'HandleSignal:requestSlot',
      'SignalWithStartWorkflow:jobQueue',
      'RunActivity:requestSlot',
    ]);
    expect(named('RunActivity:ingestBatch')).toMatchObject({
      service: 'test',
      attributes: { 'nightshift.session_date': S, 'nightshift.task_run_id': taskRunId },
    });
    expect(named('RunWorkflow:manualRun')).toMatchObject({
      status: { code: 1 },
      attributes: {
        // What it began with says the id only, its plan the session.
        'nightshift.session_date': S,
        'nightshift.task_run_id': taskRunId,
        temporalWorkflowId: manualRunWorkflowId(taskRunId),
      },
    });
    const served = named('POST /scheduler/run_ingestion');
    expect(served).toMatchObject({
      kind: 2,
      attributes: {
        'http.route': '/scheduler/run_ingestion',
        'nightshift.session_date': S,
        'nightshift.task_run_id': taskRunId,
      },
    });
    expect(api.lines.map(({ fields }) => fields['span_id'])).toContain(served?.spanId);
  }
  // The second was granted its slot by another run of the queue than the one it had asked.
  const ofQueue = ['HandleSignal:requestSlot', 'SignalWorkflow:slotGranted'].map(
    (name) => all.find((span) => span.name === name && span.traceId === callers[1])?.attributes['run_id'],
  );
  expect(new Set(ofQueue).size).toBe(2);
  const sent = collector.received.map(({ body }) => body).join('');
  expect(sent).not.toContain(token.split('_').at(-1));
  expect(sent).not.toContain('theirs');
  expect(await listTaskRuns(house.api.sql)).toHaveLength(2);
  expect(problems).toEqual([]);
});
