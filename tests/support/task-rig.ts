import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import type { ActivityDeps } from '../../src/activities/deps.ts';
import { type ArtifactStore, createArtifactStore } from '../../src/artifacts/store.ts';
import type { TaskStep } from '../../src/contracts/activities.ts';
import { configHash, type EffectiveConfig, effectiveConfig } from '../../src/contracts/schemas/config.ts';
import { parseConfigFile } from '../../src/contracts/schemas/config.ts';
import type { Task } from '../../src/contracts/wire/names.ts';
import { createDatabase, type Database } from '../../src/db/client.ts';
import { finishAttempt } from '../../src/db/queries/attempts.ts';
import { insertConfig } from '../../src/db/queries/configs.ts';
import type { Role } from '../../src/db/roles.ts';
import { createTestDatabase, type TestDatabase, uniqueName } from './env.ts';
import { beginStep, newTaskRun } from './rows.ts';

/** Everything one activity needs, on a real database and a real artifact folder of its own. */
export class TaskRig {
  readonly folder: string;
  readonly artifacts: ArtifactStore;
  readonly config: EffectiveConfig;
  now = new Date('2018-02-08T05:00:00Z');
  readonly #database: TestDatabase;
  readonly #open = new Map<Role | 'owner', Database>();

  private constructor(input: { folder: string; database: TestDatabase; config: EffectiveConfig }) {
    this.folder = input.folder;
    this.artifacts = createArtifactStore(pathToFileURL(join(input.folder, 'artifacts')).href);
    this.config = input.config;
    this.#database = input.database;
  }

  static async start(
    options: { universe?: string; settings?: Record<string, unknown> } = {},
  ): Promise<TaskRig> {
    const { universe = 'tiny', settings = {} } = options;
    const file = parseConfigFile({
      scheduled_tasks: [{ task_id: 1 }],
      nightshift: { universes: { [universe]: settings } },
    });
    const [folder, database] = await Promise.all([
      mkdtemp(join(tmpdir(), 'nightshift-tasks-')),
      createTestDatabase(),
    ]);
    const rig = new TaskRig({ folder, database, config: effectiveConfig(file, universe) });
    await insertConfig(rig.db('pipeline').sql, { configHash: rig.configHash, body: rig.config });
    return rig;
  }

  get configHash(): string {
    return configHash(this.config);
  }

  get artifactFolder(): string {
    return join(this.folder, 'artifacts');
  }

  db(role: Role | 'owner'): Database {
    const known = this.#open.get(role);
    if (known !== undefined) return known;
    const opened = createDatabase(this.#database.urls[role], { max: 4 });
    this.#open.set(role, opened);
    return opened;
  }

  deps(role: Role = 'pipeline'): ActivityDeps {
    return { db: this.db(role), artifacts: this.artifacts, clock: () => this.now };
  }

  /** A task run whose first attempt has begun: what a step of it gets. */
  async begin(input: {
    task: Task;
    sessionDate?: string;
    universeVersion?: string;
    attempt?: number;
    taskRunId?: string;
  }): Promise<TaskStep> {
    const { task, sessionDate = '2018-02-07', universeVersion = 'v1' } = input;
    const { universe } = this.config;
    const { maxAttempts, timeoutMs, dependsOn } = this.config.tasks[task];
    const run = newTaskRun({
      taskRunId: input.taskRunId ?? uniqueName(task),
      task,
      sessionDate,
      universe,
      universeVersion,
      maxAttempts,
      timeoutMs,
      dependsOn,
      configHash: this.configHash,
    });
    return await beginStep({
      sql: this.db('pipeline').sql,
      run,
      workflowId: `${task}/${sessionDate}/${universe}`,
      ...(input.attempt !== undefined && { attempt: input.attempt }),
    });
  }

  async finish(step: TaskStep, result: Record<string, unknown> = {}): Promise<void> {
    await finishAttempt(this.db('pipeline').sql, {
      fence: step.fence,
      end: 'succeeded',
      failure: null,
      result,
    });
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#open.values()].map((database) => database.close()));
    await this.#database.drop();
    await rm(this.folder, { recursive: true, force: true });
  }
}

type InputOf<F> = F extends (input: infer I) => Promise<unknown> ? I : never;
type OutputOf<F> = F extends (...args: never[]) => Promise<infer O> ? O : never;

/** Runs one activity as a worker would; returns its result and the heartbeats it sent. */
export async function runActivity<A, N extends keyof A & string>(
  activities: A,
  name: N,
  input: InputOf<A[N]>,
): Promise<{ result: OutputOf<A[N]>; heartbeats: unknown[] }> {
  // Expected failures would fill the output otherwise.
  const environment = new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') });
  const heartbeats: unknown[] = [];
  environment.on('heartbeat', (details: unknown) => heartbeats.push(details));
  const activity = activities[name] as (input: InputOf<A[N]>) => Promise<OutputOf<A[N]>>;
  const result: OutputOf<A[N]> = await environment.run(activity, input);
  return { result, heartbeats };
}
