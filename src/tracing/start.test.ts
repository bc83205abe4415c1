import { build } from 'esbuild';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HookReceiver } from '../../tests/support/alert-receivers.ts';
import { startTracing, type Tracing } from './start.ts';

const NOWHERE = 'http://127.0.0.1:1/v1/traces';
let problems: string[];
let tracing: Tracing | null = null;
beforeEach(() => {
  problems = [];
});
afterEach(async () => tracing?.close());

async function start(url: string): Promise<Tracing> {
  tracing = await startTracing({ url, service: 'test', onProblem: (text) => problems.push(text) });
  if (tracing === null) throw new Error('tracing is off');
  return tracing;
}

async function request(on: Tracing): Promise<void> {
  const served = { route: '/x', status: 200, attributes: {} };
  await on.serve({ method: 'GET', header: () => undefined }, async () => served);
}

describe('tracing', () => {
  it('is off without a collector, and no process loads any of it when it starts', async () => {
    expect(await startTracing({ url: null, service: 'test', onProblem: () => undefined })).toBeNull();
    const { metafile } = await build({
      entryPoints: ['src/api/main.ts', 'src/worker/main.ts', 'src/cli/main.ts'],
      bundle: true,
      write: false,
      metafile: true,
      format: 'esm',
      platform: 'node',
      packages: 'external',
      outdir: 'none',
      logLevel: 'silent',
    });
    const loaded = Object.values(metafile.outputs).flatMap(({ imports }) => imports);
    const ours = loaded.filter(({ path }) => path.includes('opentelemetry'));
    expect(new Set(ours.map(({ kind }) => kind))).toEqual(new Set(['dynamic-import']));
    expect(new Set(loaded.map(({ kind }) => kind))).toContain('import-statement');
  });

  it('says once that nobody takes the spans, and again after somebody did', async () => {
    const collector = await HookReceiver.start();
    const before = process.env['OTEL_BSP_SCHEDULE_DELAY'];
    process.env['OTEL_BSP_SCHEDULE_DELAY'] = '10';
    try {
      const on = await start(`${collector.url}/v1/traces`);
      for (const [count, status] of [400, 400, 200, 400].entries()) {
        collector.answer = () => status;
        await request(on);
        await expect.poll(() => collector.received.length).toBe(count + 1);
      }
      await on.close();
      expect(problems).toEqual(['Bad Request', 'Bad Request']);
    } finally {
      if (before === undefined) delete process.env['OTEL_BSP_SCHEDULE_DELAY'];
      else process.env['OTEL_BSP_SCHEDULE_DELAY'] = before;
      await collector.stop();
    }
  });

  it('neither slows nor fails anything while the collector is away', async () => {
    const on = await start(NOWHERE);
    // More than what is kept to be sent.
    const begunMs = performance.now();
    for (let done = 0; done < 3_000; done += 1) await request(on);
    expect(performance.now() - begunMs).toBeLessThan(3_000);
    await on.close();
    expect(problems).toEqual([expect.stringContaining('ECONNREFUSED')]);
  });

  it('ends in time when the collector takes the spans and never answers', async () => {
    const collector = await HookReceiver.start();
    collector.answer = () => null;
    const on = await start(`${collector.url}/v1/traces`);
    await request(on);
    const begunMs = performance.now();
    await on.close();
    expect(performance.now() - begunMs).toBeLessThan(4_000);
    await collector.stop();
  });
});
