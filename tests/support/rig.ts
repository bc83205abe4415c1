import { randomUUID } from 'node:crypto';

import {
  Client,
  Connection,
  type WorkflowHandle,
  type WorkflowHandleWithFirstExecutionRunId,
} from '@temporalio/client';
import type { temporal } from '@temporalio/proto';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { afterAll, afterEach, beforeAll } from 'vitest';

import { createQueueActivities } from '../../src/activities/queue.ts';
import type {
  NightInput,
  NightResult,
  QueueActivities,
  SlotActivities,
  SlotHolder,
} from '../../src/contracts/activities.ts';
import {
  DECIDE_REVIEW,
  MANUAL_RUN,
  type ManualRunSignal,
  QUEUE_STATE,
  type QueueSnapshot,
  type ReviewInput,
} from '../../src/contracts/wire/messages.ts';
import { JOB_QUEUE_WORKFLOW_ID, nightWorkflowId, TASK_QUEUES } from '../../src/contracts/wire/names.ts';
import { registerSearchAttributes } from '../../src/temporal/search-attributes.ts';
import { WORKFLOW_WORKER_LIMITS } from '../../src/worker/limits.ts';
import { answeredPart } from './answered-history.ts';
import { testTemporal, uniqueName } from './env.ts';
import { type AllActivities, createFakes, SESSION, UNIVERSE } from './fakes.ts';

export type History = temporal.api.history.v1.IHistory;
export type RecordedHistory = { workflowId: string; runId: string; workflowType: string; history: History };

export type RigOptions = { ml?: boolean };
type NightWorkflow = (input: NightInput) => Promise<NightResult>;
type WorkerActivities = Partial<AllActivities & SlotActivities & QueueActivities>;

/** Waits until `read` gives something else than undefined or false. Throws after `timeoutMs`. */
export async function eventually<T>(
  what: string,
  read: () => Promise<T | undefined | false> | T | undefined | false,
  timeoutMs = 30_000,
): Promise<T> {
  const until = Date.now() + timeoutMs;
  for (;;) {
    const value = await read();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > until) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/**
 * A worker for all queues in a namespace of its own on the real server of the test run. Each test sets its
 * activities with `use`; signals to the queue are real. `endTest` replays every history the test made.
 */
export class Rig {
  readonly client: Client;
  readonly namespace: string;
  readonly #connection: Connection;
  readonly #native: NativeConnection;
  readonly #workflows = {
    workflowBundle: { codePath: testTemporal().workflowBundlePath },
    ...WORKFLOW_WORKER_LIMITS,
  };
  readonly #replayed = new Set<string>();
  #current: WorkerActivities = {};
  #workers: { worker: Worker; run: Promise<void> }[] = [];
  #ml = true;
  /** A universe no other test of the file has: ids of nights and tasks contain it. */
  universe = uniqueName(UNIVERSE);
  /** What a new queue finds in the rows. */
  heldSlots: () => Promise<SlotHolder[]> = async () => [];

  private constructor(parts: { connection: Connection; native: NativeConnection; namespace: string }) {
    this.#connection = parts.connection;
    this.#native = parts.native;
    this.namespace = parts.namespace;
    this.client = new Client({ connection: parts.connection, namespace: parts.namespace });
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
    await rig.startWorkers();
    return rig;
  }

  /** The activities of this test. */
  use(activities: WorkerActivities): void {
    const queue = createQueueActivities({
      client: this.client,
      findSlotHolders: () => this.heldSlots(),
    });
    this.#current = { ...queue, ...activities };
  }

  async startWorkers(): Promise<void> {
    this.use({});
    const common = { connection: this.#native, namespace: this.namespace, shutdownGraceTime: 0 };
    const names = [...Object.keys(createFakes().activities), ...Object.keys(this.#current)];
    const activities = Object.fromEntries(
      names.map((name) => [name, (input: never) => this.#call(name, input)]),
    );
    const workers = await Promise.all([
      Worker.create({
        ...common,
        taskQueue: TASK_QUEUES.pipeline,
        ...this.#workflows,
        activities,
      }),
      ...(this.#ml ? [Worker.create({ ...common, taskQueue: TASK_QUEUES.ml, activities })] : []),
      Worker.create({ ...common, taskQueue: TASK_QUEUES.marketData, activities }),
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
  ): Promise<WorkflowHandleWithFirstExecutionRunId<NightWorkflow>> {
    const workflowId = nightWorkflowId(input.sessionDate ?? SESSION, input.universe ?? this.universe);
    return this.client.workflow.start<NightWorkflow>('nightlyPipeline', {
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

  /** Every execution of this rig with its history, except those that were replayed before. */
  async histories(): Promise<RecordedHistory[]> {
    const found: RecordedHistory[] = [];
    for await (const run of this.client.workflow.list()) {
      if (this.#replayed.has(run.runId)) continue;
      const history = await this.client.workflow.getHandle(run.workflowId, run.runId).fetchHistory();
      found.push({ workflowId: run.workflowId, runId: run.runId, workflowType: run.type, history });
    }
    return found;
  }

  /** Replays every new history; throws the first non-determinism. Returns how many there were. */
  async replayAll(): Promise<number> {
    const recorded = await this.histories();
    const histories = recorded
      .map(({ workflowId, history }) => ({ workflowId, history: answeredPart(history) }))
      .filter(({ history }) => history.events?.length !== 0);
    for await (const replay of Worker.runReplayHistories(this.#workflows, histories)) {
      if (replay.error !== undefined) throw replay.error;
    }
    for (const { runId } of recorded) this.#replayed.add(runId);
    return recorded.length;
  }

  /** Ends what the test left open, replays what it made. */
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
    await this.replayAll();
    this.universe = uniqueName(UNIVERSE);
    this.heldSlots = async () => [];
  }

  async close(): Promise<void> {
    await this.stopWorkers();
    await this.#native.close();
    await this.#connection.close();
  }
}

/** A rig for all tests of a file: started before them, histories replayed after each. */
export function useRig(options: RigOptions = {}): { readonly current: Rig } {
  let rig: Rig | undefined;
  beforeAll(async () => {
    rig = await Rig.start(options);
  });
  afterEach(async () => rig?.endTest());
  afterAll(async () => rig?.close());
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
