import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';

import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils';
import type { temporal } from '@temporalio/proto';
import {
  DefaultLogger,
  NativeConnection,
  Runtime,
  Worker,
  type WorkflowBundleWithSourceMap,
} from '@temporalio/worker';

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
import { testTemporal, uniqueName } from './env.ts';
import { type AllActivities, SESSION, UNIVERSE } from './fakes.ts';

export type History = temporal.api.history.v1.IHistory;
export type RecordedHistory = { workflowId: string; workflowType: string; history: History };

type RigOptions = {
  activities: Partial<AllActivities & SlotActivities & QueueActivities>;
  /** What a new queue finds in the rows. */
  heldSlots?: () => Promise<SlotHolder[]>;
};

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
 * A worker for all queues in a namespace of its own on the real server of the test run, with the given
 * activities and the real signals to the queue. `close` replays every history that was made.
 */
export class Rig {
  readonly client: Client;
  readonly namespace: string;
  readonly #connection: Connection;
  readonly #native: NativeConnection;
  readonly #bundle: WorkflowBundleWithSourceMap | { codePath: string };
  readonly #options: RigOptions;
  #workers: { worker: Worker; run: Promise<void> }[] = [];

  private constructor(parts: {
    connection: Connection;
    native: NativeConnection;
    namespace: string;
    options: RigOptions;
  }) {
    this.#connection = parts.connection;
    this.#native = parts.native;
    this.namespace = parts.namespace;
    this.#options = parts.options;
    this.client = new Client({ connection: parts.connection, namespace: parts.namespace });
    this.#bundle = { codePath: testTemporal().workflowBundlePath };
  }

  static async start(options: RigOptions): Promise<Rig> {
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
    const rig = new Rig({ connection, native, namespace, options });
    await rig.startWorkers();
    return rig;
  }

  async startWorkers(): Promise<void> {
    const queue = createQueueActivities({
      client: this.client,
      findSlotHolders: this.#options.heldSlots ?? (async () => []),
    });
    const common = { connection: this.#native, namespace: this.namespace, shutdownGraceTime: 0 };
    const activities = { ...queue, ...this.#options.activities };
    const workers = await Promise.all([
      Worker.create({
        ...common,
        taskQueue: TASK_QUEUES.pipeline,
        workflowBundle: this.#bundle,
        maxCachedWorkflows: 50,
        activities,
      }),
      Worker.create({ ...common, taskQueue: TASK_QUEUES.ml, activities }),
      Worker.create({ ...common, taskQueue: TASK_QUEUES.marketData, activities }),
    ]);
    this.#workers = workers.map((worker) => ({ worker, run: worker.run() }));
  }

  async stopWorkers(): Promise<void> {
    for (const { worker } of this.#workers) if (worker.getState() === 'RUNNING') worker.shutdown();
    await Promise.allSettled(this.#workers.map(({ run }) => run));
    this.#workers = [];
  }

  async startNight(input: Partial<NightInput> = {}): Promise<WorkflowHandle<() => Promise<NightResult>>> {
    const workflowId = nightWorkflowId(input.sessionDate ?? SESSION, input.universe ?? UNIVERSE);
    const options = { workflowId, taskQueue: TASK_QUEUES.pipeline, args: [{ trigger: 'manual', ...input }] };
    return this.client.workflow.start<(input: NightInput) => Promise<NightResult>>('nightlyPipeline', {
      ...options,
      args: [{ trigger: 'manual', ...input }],
    });
  }

  async night(input: Partial<NightInput> = {}): Promise<NightResult> {
    return (await this.startNight(input)).result();
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

  /** Every execution of this rig with its history. */
  async histories(): Promise<RecordedHistory[]> {
    const found: RecordedHistory[] = [];
    for await (const run of this.client.workflow.list()) {
      const history = await this.client.workflow.getHandle(run.workflowId, run.runId).fetchHistory();
      found.push({ workflowId: run.workflowId, workflowType: run.type, history });
    }
    return found;
  }

  /** Replays every history; throws the first non-determinism. Returns how many there were. */
  async replayAll(): Promise<number> {
    const recorded = await this.histories();
    for (const { workflowId, history } of recorded) {
      await Worker.runReplayHistory(
        { workflowBundle: this.#bundle, replayName: workflowId },
        history,
        workflowId,
      );
    }
    return recorded.length;
  }

  /** Replays what was made, ends what is still open, closes connections. */
  async close(options: { replay?: boolean } = {}): Promise<void> {
    try {
      await this.stopWorkers();
      if (options.replay !== false) await this.replayAll();
    } finally {
      for await (const run of this.client.workflow.list({ query: 'ExecutionStatus = "Running"' })) {
        await this.client.workflow
          .getHandle(run.workflowId, run.runId)
          .terminate('end of test')
          .catch(() => undefined);
      }
      await this.#native.close();
      await this.#connection.close();
    }
  }
}

/** History as JSON text that replays (`JSON.stringify` of a history does not, ts#1362). */
export function historyText(history: History): string {
  return `${JSON.stringify(historyToJSON(history), null, 1)}\n`;
}

export async function workflowBundle(): Promise<{ code: string }> {
  return { code: await readFile(testTemporal().workflowBundlePath, 'utf8') };
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
