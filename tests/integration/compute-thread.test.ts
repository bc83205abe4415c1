import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { describe, expect, it } from 'vitest';
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
