import { randomUUID } from 'node:crypto';

import {
  Client,
  Connection,
  type WorkflowHandle,
  type WorkflowHandleWithFirstExecutionRunId,
  type WorkflowStartOptions,
} from '@temporalio/client';
import type { temporal } from '@temporalio/proto';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { afterAll, afterEach, beforeAll } from 'vitest';

import { createQueueActivities } from '../../src/activities/queue.ts';
import { findSlotRequests } from '../../src/activities/slot-requests.ts';
import type { NightInput, NightResult } from '../../src/contracts/activities.ts';
import type { QueueActivities, SlotActivities } from '../../src/contracts/slots.ts';
import {
  DECIDE_REVIEW,
  MANUAL_RUN,
  type ManualRunSignal,
  QUEUE_STATE,
  type QueueSnapshot,
  type ReviewInput,
} from '../../src/contracts/wire/messages.ts';
import { JOB_QUEUE_WORKFLOW_ID, nightWorkflowId, TASK_QUEUES } from '../../src/contracts/wire/names.ts';
import type { Sql } from '../../src/db/client.ts';
import { findSlotHolders } from '../../src/db/queries/task-runs.ts';
import { registerSearchAttributes } from '../../src/temporal/search-attributes.ts';
import { WORKFLOW_WORKER_LIMITS } from '../../src/worker/limits.ts';
import type { observed } from '../../src/worker/traced.ts';
import { answeredPart } from './answered-history.ts';
import { testTemporal, uniqueName } from './env.ts';
import { type AllActivities, createFakes, SESSION, UNIVERSE } from './fakes.ts';

export type History = temporal.api.history.v1.IHistory;
export type RecordedHistory = { workflowId: string; runId: string; workflowType: string; history: History };

/** `decisions`: with a worker for the workflows of the queue `market-data`. */
export type RigOptions = { ml?: boolean; decisions?: boolean };
type NightWorkflow = (input: NightInput) => Promise<NightResult>;
type WorkerActivities = Partial<AllActivities & SlotActivities & QueueActivities>;

const HISTORIES_AT_ONCE = 8;
/** Hundreds of histories are replayed at the end of a file. */
const CLOSE_MS = 600_000;

/** Waits until `read` gives something else than undefined or false. Throws after `timeoutMs`. */
export async function eventually<T>(
  what: string,
  read: () => Promise<T | undefined | false> | T | undefined | false,
  timeoutMs = 30_000,
  pauseMs = 25,
): Promise<T> {
  const until = Date.now() + timeoutMs;
  for (;;) {
    const value = await read();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > until) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

/**
 * A worker for all queues in a namespace of its own on the real server of the test run. Each test sets its
 * activities with `use`; signals to the queue are real. `close` replays every history the tests made.
 */
export class Rig {
  readonly client: Client;
  readonly namespace: string;
  readonly #connection: Connection;
  readonly #native: NativeConnection;
  /** How the next workers and replays are looked at: with tracing, say. */
  observed: Partial<ReturnType<typeof observed>> = {};
  readonly #replayed = new Set<string>();
  /** Workflow id by run id of what this rig's client started: visibility lags behind it on a busy machine. */
  readonly #started = new Map<string, string>();
  #current: WorkerActivities = {};
  #workers: { worker: Worker; run: Promise<void> }[] = [];
  #ml = true;
  #decisions = false;
  /** A universe no other test of the file has: ids of nights and tasks contain it. */
  universe = uniqueName(UNIVERSE);
  /** Where a new queue finds who holds a slot and who waits for one; null: there are no rows. */
  slotRows: Sql | null = null;

  private constructor(parts: { connection: Connection; native: NativeConnection; namespace: string }) {
    this.#connection = parts.connection;
    this.#native = parts.native;
    this.namespace = parts.namespace;
    this.client = new Client({
      connection: parts.connection,
      namespace: parts.namespace,
      interceptors: {
        workflow: [
          {
            startWithDetails: async (input, next) => {
              const output = await next(input);
              this.#started.set(output.runId, input.options.workflowId);
              return output;
            },
            signalWithStart: async (input, next) => {
              const runId = await next(input);
              this.#started.set(runId, input.options.workflowId);
              return runId;
            },
          },
        ],
      },
    });
  }

  get #workflows() {
    const { workflowBundle = { codePath: testTemporal().workflowBundlePath } } = this.observed;
    return { workflowBundle, ...WORKFLOW_WORKER_LIMITS };
  }

  /** `ml: false` leaves the queue `ml` to a worker of the test's own. */
  static async start(options: RigOptions = {}): Promise<Rig> {
    quietRuntime();
    const { address } = testTemporal();
    const namespace = uniqueName('test');
    const [connection, native] = await Promise.all([
      Connection.connect({ address }),
      NativeConnection.connect({ address }),
    ]);
    await connection.workflowService.registerNamespace({
      namespace,
      workflowExecutionRetentionPeriod: { seconds: 86_400 as never },
    });
    await registerSearchAttributes(connection, namespace);
    const rig = new Rig({ connection, native, namespace });
    rig.#ml = options.ml ?? true;
    rig.#decisions = options.decisions ?? false;
    await rig.startWorkers();
    return rig;
  }

  /** The activities of this test. */
  use(activities: WorkerActivities): void {
    const queue = createQueueActivities({
      client: this.client,
      findSlotHolders: async () => (this.slotRows === null ? [] : findSlotHolders(this.slotRows)),
      findSlotRequests: async () => (this.slotRows === null ? [] : findSlotRequests(this.slotRows)),
    });
    this.#current = { ...queue, ...activities };
  }

  /** Starts them, at first or again; the activities stay those of the test. */
  async startWorkers(): Promise<void> {
    if (Object.keys(this.#current).length === 0) this.use({});
    const { interceptors, sinks } = this.observed;
    const workflows = this.#workflows;
    const common = {
      connection: this.#native,
      namespace: this.namespace,
      shutdownGraceTime: 0,
      ...(interceptors && { interceptors }),
      ...(sinks && { sinks }),
    };
    const names = [...Object.keys(createFakes().activities), ...Object.keys(this.#current)];
    const activities = Object.fromEntries(
      names.map((name) => [name, (input: never) => this.#call(name, input)]),
    );
    const workers = await Promise.all([
      Worker.create({
        ...common,
        taskQueue: TASK_QUEUES.pipeline,
        ...workflows,
        activities,
      }),
      ...(this.#ml ? [Worker.create({ ...common, taskQueue: TASK_QUEUES.ml, activities })] : []),
      Worker.create({
        ...common,
        taskQueue: TASK_QUEUES.marketData,
        ...(this.#decisions && workflows),
        activities,
      }),
    ]);
    this.#workers = workers.map((worker) => ({ worker, run: worker.run() }));
  }

  async #call(name: string, input: never): Promise<unknown> {
    const activity: unknown = Reflect.get(this.#current, name);
    if (typeof activity !== 'function') throw new TypeError(`no activity ${name} in this test`);
    const result: unknown = await activity(input);
    return result;
  }

  async stopWorkers(): Promise<void> {
    for (const { worker } of this.#workers) if (worker.getState() === 'RUNNING') worker.shutdown();
    await Promise.allSettled(this.#workers.map(({ run }) => run));
    this.#workers = [];
  }

  async startNight(
    input: Partial<NightInput> = {},
    options: Pick<WorkflowStartOptions, 'workflowTaskTimeout'> = {},
  ): Promise<WorkflowHandleWithFirstExecutionRunId<NightWorkflow>> {
    const workflowId = nightWorkflowId(input.sessionDate ?? SESSION, input.universe ?? this.universe);
    return this.client.workflow.start<NightWorkflow>('nightlyPipeline', {
      ...options,
      workflowId,
      taskQueue: TASK_QUEUES.pipeline,
      args: [{ trigger: 'manual', universe: this.universe, ...input }],
    });
  }

  async night(input: Partial<NightInput> = {}): Promise<NightResult> {
    const handle = await this.startNight(input);
    return handle.result();
  }

  async signalManualRun(run: ManualRunSignal): Promise<void> {
    await this.client.workflow.signalWithStart('jobQueue', {
      workflowId: JOB_QUEUE_WORKFLOW_ID,
      taskQueue: TASK_QUEUES.pipeline,
      args: [],
      signal: MANUAL_RUN,
      signalArgs: [run],
    });
  }

  async queue(): Promise<QueueSnapshot> {
    return this.client.workflow.getHandle(JOB_QUEUE_WORKFLOW_ID).query<QueueSnapshot>(QUEUE_STATE);
  }

  async decide(handle: WorkflowHandle, review: ReviewInput): Promise<ReviewInput> {
    return handle.executeUpdate<ReviewInput, [ReviewInput]>(DECIDE_REVIEW, {
      args: [review],
      updateId: randomUUID(),
    });
  }

  /** The update's refusal in words, or undefined when it was taken. */
  async refusal(handle: WorkflowHandle, review: ReviewInput): Promise<string | undefined> {
    try {
      await this.decide(handle, review);
      return undefined;
    } catch (error) {
      const cause = error instanceof Error ? error.cause : undefined;
      return cause instanceof Error ? cause.message : String(error);
    }
  }

  /** Every execution of this rig with its history, except the runs with these ids: roots, then what they led to. */
  async histories(except: ReadonlySet<string> = new Set()): Promise<RecordedHistory[]> {
    const known = new Map(this.#started);
    for await (const { workflowId, runId } of this.client.workflow.list()) known.set(runId, workflowId);
    const found: RecordedHistory[] = [];
    for (let wave = [...known]; wave.length > 0; ) {
      const next: [string, string][] = [];
      for (let from = 0; from < wave.length; from += HISTORIES_AT_ONCE) {
        const part = wave.slice(from, from + HISTORIES_AT_ONCE).filter(([runId]) => !except.has(runId));
        const read = await Promise.all(part.map((run) => this.#history(run)));
        for (const run of read) {
          found.push(run);
          for (const [runId, workflowId] of runsStartedIn(run)) {
            if (known.has(runId)) continue;
            known.set(runId, workflowId);
            next.push([runId, workflowId]);
          }
        }
      }
      wave = next;
    }
    return found;
  }

  async #history([runId, workflowId]: [string, string]): Promise<RecordedHistory> {
    const history = await this.client.workflow.getHandle(workflowId, runId).fetchHistory();
    const workflowType =
      history.events?.[0]?.workflowExecutionStartedEventAttributes?.workflowType?.name ?? '';
    return { workflowId, runId, workflowType, history };
  }

  /** Replays every new history; throws the first non-determinism. Returns how many there were. */
  async replayAll(): Promise<number> {
    const recorded = await this.histories(this.#replayed);
    const histories = recorded
      .map(({ workflowId, history }) => ({ workflowId, history: answeredPart(history) }))
      .filter(({ history }) => history.events?.length !== 0);
    for await (const replay of Worker.runReplayHistories(this.#workflows, histories)) {
      if (replay.error !== undefined) throw replay.error;
    }
    for (const { runId } of recorded) this.#replayed.add(runId);
    return recorded.length;
  }

  /** Ends what the test left open. */
  async endTest(): Promise<void> {
    for (let left = 1; left > 0; ) {
      left = 0;
      for await (const run of this.client.workflow.list({ query: 'ExecutionStatus = "Running"' })) {
        const handle = this.client.workflow.getHandle(run.workflowId, run.runId);
        await handle.terminate('end of test').then(
          () => {
            left += 1;
          },
          () => undefined,
        );
      }
    }
    this.universe = uniqueName(UNIVERSE);
    this.slotRows = null;
  }

  /** Replays what all tests made: one worker for all histories, not one a test. Throws the first non-determinism. */
  async close(): Promise<void> {
    try {
      await this.stopWorkers();
      await this.replayAll();
    } finally {
      await this.#native.close();
      await this.#connection.close();
    }
  }
}

/** Run id and workflow id of each child and of the run this one continued as. */
function runsStartedIn({ workflowId, history }: RecordedHistory): [string, string][] {
  return (history.events ?? []).flatMap((event): [string, string][] => {
    const child = event.childWorkflowExecutionStartedEventAttributes?.workflowExecution;
    if (child?.runId && child.workflowId) return [[child.runId, child.workflowId]];
    const next = event.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId;
    return next ? [[next, workflowId]] : [];
  });
}

/** A rig for all tests of a file: started before them, histories replayed after them. */
export function useRig(options: RigOptions = {}): { readonly current: Rig } {
  let rig: Rig | undefined;
  beforeAll(async () => {
    rig = await Rig.start(options);
  });
  afterEach(async () => rig?.endTest());
  afterAll(async () => rig?.close(), CLOSE_MS);
  return {
    get current() {
      if (rig === undefined) throw new Error('the rig starts before the first test');
      return rig;
    },
  };
}

let quiet = false;
/** Expected failures of tests would fill the output otherwise. */
export function quietRuntime(): void {
  if (quiet) return;
  quiet = true;
  Runtime.install({
    logger: new DefaultLogger('ERROR', ({ level, message, meta }) => {
      if (process.env['NIGHTSHIFT_TEST_LOG'] !== undefined) console.error(level, message, meta);
    }),
    telemetryOptions: { logging: { forward: {}, filter: { core: 'ERROR', other: 'ERROR' } } },
  });
}
