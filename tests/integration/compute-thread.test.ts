import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { projectRoot } from '../../scripts/lib/paths.mjs';
import type { BuildDatasetInput, BuiltDataset } from '../../src/activities/compute/build-dataset.ts';
import { runJob } from '../../src/activities/compute/run-job.ts';
import type { MarketPanel } from '../../src/activities/datasets/market-panel.ts';
import { currentProgress } from '../../src/activities/progress.ts';
import { BAR_STATES } from '../../src/domain/labels.ts';
import { createRng } from '../../src/domain/statistics/rng.ts';

const entry = join(projectRoot, 'dist', 'compute', 'main.js');
const quiet = () => new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') });

function randomPanel(symbols: number, sessions: number): MarketPanel {
  const rng = createRng(7);
  const dates = Array.from({ length: sessions }, (_, index) =>
    new Date(Date.UTC(2015, 0, 1) + index * 86_400_000).toISOString().slice(0, 10),
  );
  const closes = Array.from({ length: symbols }, () => {
    let price = 100;
    return Float64Array.from({ length: sessions }, () => (price *= Math.exp(0.01 * rng.normal())));
  });
  return {
    sessions: dates,
    symbols: Array.from({ length: symbols }, (_, index) => `S${String(index).padStart(3, '0')}`),
    open: closes.map((column) => column.map((value) => value * 0.999)),
    high: closes.map((column) => column.map((value) => value * 1.01)),
    low: closes.map((column) => column.map((value) => value * 0.99)),
    close: closes,
    volume: closes.map((column) => column.map(() => Math.round(1e6 * rng.uniform()) + 1)),
    states: closes.map((column) => new Uint8Array(column.length).fill(BAR_STATES.usable)),
    cutoff: '2020-01-01T00:00:00Z',
    survivorship: 'biased',
  };
}

const job = (symbols: number, horizonSessions = 1): BuildDatasetInput => ({
  panel: randomPanel(symbols, 600),
  universe: 'test',
  universeVersion: 'v1',
  settings: {
    labelKind: 'excess',
    horizonSessions,
    blocks: 2,
    blockMonths: 3,
    minTrainSessions: 300,
    trainWindowSessions: 756,
  },
});

describe('a computation in a thread', () => {
  it('gives the same bytes as here, reports progress, and leaves the event loop free', async () => {
    const environment = quiet();
    const phases: string[] = [];
    environment.on('heartbeat', ({ phase }: { phase: string }) => phases.push(phase));
    const input = job(60);
    let longestPauseMs = 0;
    let last = performance.now();
    const timer = setInterval(() => {
      longestPauseMs = Math.max(longestPauseMs, performance.now() - last);
      last = performance.now();
    }, 5);
    const built: BuiltDataset = await environment.run(async () => {
      return await runJob('buildDataset', input, { progress: currentProgress(), entry });
    });
    clearInterval(timer);
    const here: BuiltDataset = await quiet().run(async () => {
      return await runJob('buildDataset', input, { progress: currentProgress(), entry: 'none' });
    });
    expect(Buffer.compare(built.parquet, here.parquet)).toBe(0);
    expect(built.manifest).toEqual(here.manifest);
    expect(phases).toContain('features');
    // The whole job takes seconds; copying its input and output takes some milliseconds.
    expect(longestPauseMs).toBeLessThan(1_000);
  });

  it('ends at once when the activity is cancelled', async () => {
    const environment = quiet();
    const started = performance.now();
    setTimeout(() => environment.cancel(), 300);
    const running = environment.run(
      async () => await runJob('buildDataset', job(400), { progress: currentProgress(), entry }),
    );
    await expect(running).rejects.toMatchObject({ name: 'CancelledFailure' });
    expect(performance.now() - started).toBeLessThan(5_000);
  });

  it('goes on in the thread of the one before, and in a new one after one that was stopped', async () => {
    let threads = 0;
    const count = (): void => void (threads += 1);
    process.on('worker', count);
    const build = (environment: MockActivityEnvironment, symbols: number): Promise<BuiltDataset> =>
      environment.run(
        async () => await runJob('buildDataset', job(symbols), { progress: currentProgress(), entry }),
      );
    try {
      const first = await build(quiet(), 3);
      const before = threads;
      const second = await build(quiet(), 3);
      expect(threads).toBe(before);
      expect(Buffer.compare(first.parquet, second.parquet)).toBe(0);
      const stopped = quiet();
      setTimeout(() => stopped.cancel(), 100);
      await expect(build(stopped, 400)).rejects.toMatchObject({ name: 'CancelledFailure' });
      expect((await build(quiet(), 3)).manifest).toEqual(first.manifest);
      expect(threads).toBe(before + 1);
      const both = await Promise.all([build(quiet(), 3), build(quiet(), 4)]);
      expect(both.map(({ manifest }) => manifest.symbols.length)).toEqual([3, 4]);
      expect(threads).toBe(before + 2);
    } finally {
      process.off('worker', count);
    }
  });

  it('keeps the name of an error, so that a defect is not tried again', async () => {
    const running = quiet().run(
      async () => await runJob('buildDataset', job(3, 99), { progress: currentProgress(), entry }),
    );
    await expect(running).rejects.toMatchObject({
      type: 'RangeError',
      message: expect.stringMatching(/horizonSessions/),
    });
  });
});

describe('a thread that dies', () => {
  /** Longer than a message takes from thread to thread. */
  const PAUSE_MS = 300;
  let folder: string;
  let uncaught: unknown[];
  const remember = (error: unknown): void => void uncaught.push(error);

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'nightshift-thread-'));
    uncaught = [];
    process.on('uncaughtExceptionMonitor', remember);
  });
  afterEach(async () => {
    process.off('uncaughtExceptionMonitor', remember);
    await rm(folder, { recursive: true, force: true });
  });

  /** Entry of a thread that does this with each job it gets. */
  async function thread(doing: string): Promise<string> {
    const file = join(folder, 'entry.mjs');
    await writeFile(
      file,
      `import { parentPort } from 'node:worker_threads';
       parentPort.on("message", () => { ${doing} });`,
    );
    return file;
  }
  const run = (environment: MockActivityEnvironment, file: string): Promise<BuiltDataset> =>
    environment.run(
      async () => await runJob('buildDataset', job(3), { progress: currentProgress(), entry: file }),
    );
  /** Whatever is still on its way has come by then. */
  const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 2 * PAUSE_MS));

  it('fails its job with its own error, which nobody else hears of', async () => {
    const file = await thread(`throw new RangeError('the array is too long');`);
    const failure: unknown = await run(quiet(), file).catch((error: unknown) => error);
    expect(failure).toMatchObject({ name: 'RangeError', message: 'the array is too long' });
    await settled();
    expect(uncaught).toEqual([]);
  });

  it('without a word fails its job with its exit code', async () => {
    const file = await thread('process.exit(7);');
    await expect(run(quiet(), file)).rejects.toThrow('computing thread buildDataset ended with 7');
  });

  it('while it is stopped leaves what was said, and the process alive', async () => {
    const file = await thread(
      `parentPort.postMessage({ kind: 'progress', phase: 'doomed', done: 0, total: 1 });
       Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ${PAUSE_MS / 3});
       throw new RangeError('an error on its way');`,
    );
    const environment = quiet();
    let isCancelled = false;
    environment.on('heartbeat', ({ phase }: { phase: string }) => {
      if (phase !== 'doomed' || isCancelled) return;
      isCancelled = true;
      // Meanwhile it dies: its error is here, but not told yet, when the activity is cancelled.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
      environment.cancel();
    });
    await expect(run(environment, file)).rejects.toMatchObject({ name: 'CancelledFailure' });
    await settled();
    expect(uncaught).toEqual([]);
  });

  it('while it waits for the next job is forgotten, and the next job has another one', async () => {
    const file = await thread(
      `parentPort.postMessage({ kind: 'done', output: 'done' });
       setTimeout(() => { throw new RangeError('an error of nobody'); }, ${PAUSE_MS / 3});`,
    );
    expect(await run(quiet(), file)).toBe('done');
    await settled();
    expect(uncaught).toEqual([]);
    expect(await run(quiet(), file)).toBe('done');
    await settled();
  });
});
