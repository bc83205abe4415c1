import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { Context } from '@temporalio/activity';
import { DefaultLogger } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { projectRoot, venvPython } from '../../scripts/lib/paths.mjs';
import { attemptsOf } from '../../src/db/queries/attempts.ts';
import { reviewsOf } from '../../src/db/queries/requests.ts';
import { insertTaskRuns, listTaskRuns, type TaskRunRow } from '../../src/db/queries/task-runs.ts';
import type { FitPlan } from '../../src/contracts/activities.ts';
import { type Task, TASKS } from '../../src/contracts/wire/names.ts';
import { beatWhileAlive } from '../../src/worker/liveness.ts';
import { testTemporal } from '../support/env.ts';
import { type AllActivities, createFakes, fitPlan } from '../support/fakes.ts';
import { type House, openHouse, testConfig } from '../support/house.ts';
import { type PythonProcess, startMlWorker, writeSyntheticDataset } from '../support/ml-worker.ts';
import { eventually, type Rig, useRig } from '../support/rig.ts';

const run = promisify(execFile);
const NIGHT = { universe: 'tiny', sessionDate: '2018-02-07' };
/** Three beats; the product tolerates more, for machines that do much else for longer. */
const SILENCE_TOLERATED_MS = 6_000;
/** Longer than that silence, and than the attempt of a worker that is back takes on a machine that does much else. */
const LOST_AFTER_SECONDS = 30;
/** Silence would be noticed within this. */
const OWN_AFTER_SECONDS = 9;
const LIMIT_MS = 170_000;

const rigs = useRig({ ml: false });
let house: House;

/** A house for a group of tests, with the tolerance above. */
function useHouse(): void {
  beforeAll(async () => {
    house = await openHouse({ client: rigs.current.client, silenceToleratedMs: SILENCE_TOLERATED_MS });
  });
  afterAll(() => house.close());
}

describe('a training attempt that times out', () => {
  useHouse();
  let folder: string;
  let artifactUrl: string;
  let plan: FitPlan;
  let stopBeating: () => void;
  let worker: PythonProcess;
  let started = 0;

  /** Nights of ingestion and training; the model worker is the real one, and so is the book-keeping. */
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'nightshift-outage-'));
    artifactUrl = pathToFileURL(folder).href;
    stopBeating = beatWhileAlive({
      sql: house.database.sql,
      process: 'worker',
      logger: new DefaultLogger('ERROR'),
      reachServer: () => Promise.resolve(),
    });
    const [datasetHash] = await Promise.all([writeSyntheticDataset(artifactUrl), startWorker()]);
    const fake = fitPlan(['logisticRegression']);
    const job = { datasetHash, parameters: { maxIterations: 50 } };
    plan = {
      ...fake,
      dataset: { ...fake.dataset, datasetHash, blocks: [0, 1, 2] },
      folds: [0, 1, 2].flatMap((blockIndex) => fake.finals.map((fit) => ({ ...fit, ...job, blockIndex }))),
      finals: fake.finals.map((fit) => ({ ...fit, ...job })),
    };
  });
  afterAll(async () => {
    stopBeating();
    await worker.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  });

  async function startWorker(): Promise<void> {
    started += 1;
    worker = startMlWorker({
      namespace: rigs.current.namespace,
      artifactUrl,
      databaseUrl: house.urls.ml,
      name: `ml-${started}`,
    });
    await worker.printed('serving queue ml');
    const pid = worker.process.pid ?? 0;
    await eventually('its first beat', async () => {
      const rows = await house.owner.sql`select 1 from ops.liveness where process = 'ml' and pid = ${pid}`;
      return rows.length > 0;
    });
  }

  async function prepare(timeoutSeconds: number, overrides: Partial<AllActivities>): Promise<Rig> {
    const disabled = { enabled: false };
    const training = { timeout_minutes: timeoutSeconds / 60 };
    await house.configure(testConfig({ tasks: { 2: training, 3: disabled, 4: disabled, 5: disabled } }));
    rigs.current.use({
      ...createFakes().activities,
      ...house.runs,
      planFits: async () => plan,
      ...overrides,
    });
    return rigs.current;
  }

  async function trainingRun(sessionDate: string): Promise<TaskRunRow | undefined> {
    const [row] = await listTaskRuns(house.database.sql, { task: 'training', sessionDate });
    return row;
  }
  async function attemptStates(taskRunId: string): Promise<string[]> {
    return (await attemptsOf(house.database.sql, [taskRunId])).map(({ state }) => state);
  }

  it('while no model worker is alive is run again, without a retry or a review', async () => {
    let plans = 0;
    const rig = await prepare(LOST_AFTER_SECONDS, {
      planFits: async () => {
        plans += 1;
        if (plans === 1) await worker.kill('SIGKILL');
        return plan;
      },
    });
    const { sessionDate } = NIGHT;
    const handle = await rig.startNight(NIGHT);
    const lost = await eventually(
      'the attempt has timed out',
      async () => {
        const row = await trainingRun(sessionDate);
        return row !== undefined && (await attemptStates(row.taskRunId))[0] === 'timed_out' ? row : undefined;
      },
      LIMIT_MS,
    );
    await startWorker();
    const over = await eventually(
      'training is over, or waits for a person',
      async () => {
        const row = await trainingRun(sessionDate);
        return row?.completedAt !== null || row.state === 'awaiting_review' ? row : undefined;
      },
      LIMIT_MS,
    );
    expect(over).toMatchObject({ state: 'succeeded', maxAttempts: 1, reviewDeadline: null });
    const result = await handle.result();
    expect(result.tasks.find(({ task }) => task === 'training')).toMatchObject({ state: 'succeeded' });
    expect(await reviewsOf(house.database.sql, lost.taskRunId)).toEqual([]);
    const attempts = await attemptsOf(house.database.sql, [lost.taskRunId]);
    // A second attempt may meet the end of the outage too; each is the first attempt of an execution of its own.
    expect(attempts.length).toBeGreaterThanOrEqual(2);
    attempts.forEach(({ state, fenceAttempt }, index) => {
      expect(state).toBe(index === attempts.length - 1 ? 'succeeded' : 'timed_out');
      expect(fenceAttempt).toBe(index * 1000 + 1);
    });
  }, 300_000);

  it('while the model worker beats is the task’s own: it waits for a person', async () => {
    const sessionDate = '2018-02-06';
    const rig = await prepare(OWN_AFTER_SECONDS, { planFits: () => Context.current().cancelled });
    const handle = await rig.startNight({ ...NIGHT, sessionDate });
    // Its container's health check knows it by the host in its identity.
    const health = join(projectRoot, 'deploy', 'ml_worker_health.py');
    const env = {
      ...process.env,
      TEMPORAL_ADDRESS: testTemporal().address,
      TEMPORAL_NAMESPACE: rigs.current.namespace,
    };
    await vi.waitFor(() => run(venvPython(), [health, 'ml'], { env }), { timeout: 60_000, interval: 500 });
    const waiting = await eventually(
      'training waits for a person',
      async () => {
        const row = await trainingRun(sessionDate);
        return row?.state === 'awaiting_review' ? row : undefined;
      },
      LIMIT_MS,
    );
    expect(waiting).toMatchObject({ attempts: 1, maxAttempts: 1 });
    expect(waiting.reviewDeadline).not.toBeNull();
    expect(worker.lines().filter(({ msg }) => msg.includes('liveness'))).toEqual([]);
    await handle.terminate('seen');
  }, 300_000);
});

describe('a model worker that loses the server', () => {
  it('says so in lines of JSON, those of the SDK’s core too', async () => {
    const [host = '', port = ''] = testTemporal().address.split(':');
    const open = new Set<Socket>();
    const between = createServer((socket) => {
      const onward = connect(Number(port), host);
      for (const [one, other] of [
        [socket, onward],
        [onward, socket],
      ] as const) {
        open.add(one);
        one.on('error', () => other.destroy()).on('close', () => open.delete(one));
        one.pipe(other);
      }
    });
    await new Promise<void>((resolve) => between.listen(0, '127.0.0.1', resolve));
    const { port: ownPort } = between.address() as AddressInfo;
    const folder = await mkdtemp(join(tmpdir(), 'nightshift-lost-'));
    const worker = startMlWorker({
      address: `127.0.0.1:${ownPort}`,
      namespace: rigs.current.namespace,
      artifactUrl: pathToFileURL(folder).href,
    });
    try {
      await worker.printed('serving queue ml');
      between.close();
      for (const socket of open) socket.destroy();
      expect((await worker.printed('sdk_core')).level).toBe('WARNING');
    } finally {
      between.close();
      await worker.kill('SIGKILL');
      await rm(folder, { recursive: true, force: true });
    }
  }, 60_000);
});

describe('whose outage counts', () => {
  useHouse();

  /** A run of each task and a stretch of beats per kind, [from, to] in minutes before now. */
  async function given(beats: { worker: [number, number]; ml: [number, number] | null }) {
    const { sql } = house.owner;
    await sql`delete from ops.liveness`;
    for (const [kind, stretch] of Object.entries(beats)) {
      if (stretch === null) continue;
      await sql`insert into ops.liveness (process, host, pid, up_since, beat_at) values (${kind}, 'test', 1,
        now() - ${stretch[0]} * interval '1 minute', now() - ${stretch[1]} * interval '1 minute')`;
    }
    const [row] = await sql<{ configHash: string }[]>`
      insert into ops.configs values (${'c'.repeat(64)}, '{}') on conflict do nothing returning config_hash`;
    await insertTaskRuns(
      sql,
      TASKS.map((task) => ({
        taskRunId: `run of ${task}`,
        nightWorkflowId: null,
        nightRunId: null,
        starterWorkflowId: 'w',
        starterRunId: 'r',
        task,
        ...NIGHT,
        universeVersion: 'u'.repeat(64),
        state: 'running',
        reason: null,
        trigger: 'manual',
        forced: false,
        requestedBy: null,
        maxAttempts: 1,
        timeoutMs: 600_000,
        dependsOn: [],
        notBefore: null,
        configHash: row?.configHash ?? 'c'.repeat(64),
      })),
    );
  }
  const lostBy = async (task: Task) => {
    const input = { taskRunId: `run of ${task}`, timeoutMs: 600_000, lastTimedOut: true };
    const [from, to] = [Date.now() - 600_000, Date.now()].map((ms) => new Date(ms).toISOString());
    const { lost } = await house.runs.countLostAttempts({ ...input, from: from ?? '', to: to ?? '' });
    return lost;
  };
  const lostTasks = async () => {
    const lost: Task[] = [];
    for (const task of TASKS) if ((await lostBy(task)) > 0) lost.push(task);
    return lost;
  };

  it('the model worker’s for tasks that wait for models, the other’s for all', async () => {
    await given({ worker: [60, 0], ml: [60, 5] });
    expect(await lostTasks()).toEqual(['training', 'overnightScan', 'backtest']);
    await given({ worker: [60, 5], ml: [60, 0] });
    expect(await lostTasks()).toEqual([...TASKS]);
    await given({ worker: [60, 0], ml: [60, 0] });
    expect(await lostTasks()).toEqual([]);
  });

  it('but not that of a model worker which never beat, or not for a day', async () => {
    await given({ worker: [60, 0], ml: null });
    expect(await lostTasks()).toEqual([]);
    await given({ worker: [60, 0], ml: [5000, 25 * 60] });
    expect(await lostTasks()).toEqual([]);
    await given({ worker: [60, 0], ml: [5000, 23 * 60] });
    expect(await lostTasks()).toEqual(['training', 'overnightScan', 'backtest']);
  });
});
