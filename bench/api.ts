/**
 * The HTTP API under load against a bare endpoint: Hono and node-postgres with the one statement each answer needs,
 * prepared, and nothing else.
 *
 * `node bench/run.mjs api [--universe tiny] [--rounds 5] [--seconds 4] [--only NAME] [--data-dir FOLDER]`. Makes a
 * night in a folder of its own (or takes one that holds a night), starts the instance on it as `nightshift up` does,
 * with token, checks and log lines as always, and loads both servers in turns over 100 connections. They run as
 * processes of their own beside Postgres and this one, which makes the load. Medians; ratios are of each round's pair.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { projectRoot } from '../scripts/lib/paths.mjs';
import { createDatabase } from '../src/db/client.ts';
import { readRunPage } from '../src/db/queries/run-pages.ts';
import { attachRuntime } from '../src/runtime/attach.ts';
import { dataFolderAt } from '../src/runtime/data-folder.ts';
import { serveBare } from './lib/bare-api.ts';
import { type Load, loadOf } from './lib/load.ts';
import { median } from './lib/report.ts';

const CONNECTIONS = 100;
const GOALS = { ratio: 0.7, statusP99Ms: 50 };
/** Both are at their best after so many seconds: code is compiled, statements are prepared. */
const WARM_SECONDS = 2;

type Endpoint = { name: string; ours: (connection: number) => string; bare: string };
type Pair = { ours: Load; bare: Load };
type Server = { child: ChildProcess; end: () => Promise<void> };

const { values } = parseArgs({
  options: {
    universe: { type: 'string', default: 'tiny' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '4' },
    'data-dir': { type: 'string' },
    only: { type: 'string', default: '' },
    /** How this program starts the bare server: as a process of its own. */
    'serve-bare': { type: 'string' },
  },
});

/** Starts a process and waits until it prints a line with `text`. */
async function started(
  args: string[],
  text: string,
  env: Record<string, string> = {},
): Promise<Server & { line: string }> {
  const child = spawn(process.execPath, args, {
    cwd: projectRoot,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const end = async (): Promise<void> => {
    child.kill('SIGTERM');
    await ended;
  };
  const lines = createInterface({ input: child.stdout });
  const line = await Promise.race([
    new Promise<string>((resolve) => {
      lines.on('line', (printed) => {
        if (printed.includes(text)) resolve(printed);
      });
    }),
    ended.then(() => {
      throw new Error(`${args.join(' ')} ended before it printed "${text}"`);
    }),
  ]);
  return { child, end, line };
}

function makeNight(dataDir: string): void {
  const args = ['bin/nightshift.mjs', 'nightly', '--universe', values.universe, '--data-dir', dataDir];
  const { status } = spawnSync(process.execPath, args, { cwd: projectRoot, stdio: 'inherit' });
  if (status !== 0) throw new Error(`the night ended with exit code ${status}`);
}

/** A training of the newest night: a run with attempts and a result of some size. */
async function someRun(databaseUrl: string): Promise<string> {
  const database = createDatabase(databaseUrl, { max: 1 });
  try {
    const filter = { task: 'training', state: 'succeeded' } as const;
    const [run] = await readRunPage(database.sql, { filter, after: null, limit: 1 });
    if (run === undefined) throw new Error('the folder holds no training that succeeded');
    return run.taskRunId;
  } finally {
    await database.close();
  }
}

async function compare(dataDir: string): Promise<void> {
  const up = await started(
    ['bin/nightshift.mjs', 'up', '--no-workers', '--data-dir', dataDir],
    'Running. Ctrl-C stops it.',
    { NIGHTSHIFT_API_REQUESTS_PER_MINUTE: '1000000000' },
  );
  let bare: (Server & { line: string }) | undefined;
  try {
    const runtime = await attachRuntime(dataDir);
    if (runtime === null || runtime.api === null) throw new Error('the instance has no API');
    bare = await started([process.argv[1] ?? '', '--serve-bare', runtime.urls.api], 'bare server on');
    const token = readFileSync(dataFolderAt(dataDir).adminToken, 'utf8').trim();
    const runId = await someRun(runtime.urls.api);
    const ports = { ours: Number(new URL(runtime.api).port), bare: Number(bare.line.split(' ').at(-1)) };
    await runtime.stop();
    const endpoints: Endpoint[] = [
      { name: 'status', ours: () => '/scheduler/status', bare: '/status' },
      { name: 'signals', ours: () => '/api/v1/signals', bare: '/signals' },
      { name: 'history', ours: () => '/api/v1/runs', bare: '/runs' },
      { name: 'one run', ours: () => `/api/v1/runs/${runId}`, bare: `/run/${runId}` },
      // The same rows under questions of which no two are the same: none shares a read with another one.
      { name: 'signals, apart', ours: (at) => `/api/v1/signals?limit=${101 + at}`, bare: '/signals' },
      { name: 'history, apart', ours: (at) => `/api/v1/runs?limit=${51 + at}`, bare: '/runs' },
    ];
    const load = (which: 'ours' | 'bare', endpoint: Endpoint, seconds: number): Promise<Load> =>
      loadOf(
        which === 'ours'
          ? { port: ports.ours, pathOf: endpoint.ours, token }
          : { port: ports.bare, pathOf: () => endpoint.bare },
        { connections: CONNECTIONS, seconds },
      );
    for (const endpoint of endpoints.filter(({ name }) => name.startsWith(values.only))) {
      const pairs: Pair[] = [];
      for (const which of ['bare', 'ours'] as const) await load(which, endpoint, WARM_SECONDS);
      for (let round = 0; round < Number(values.rounds); round += 1) {
        const seconds = Number(values.seconds);
        const order = round % 2 === 0 ? (['bare', 'ours'] as const) : (['ours', 'bare'] as const);
        const pair: Partial<Pair> = {};
        for (const which of order) pair[which] = await load(which, endpoint, seconds);
        if (pair.ours !== undefined && pair.bare !== undefined)
          pairs.push({ ours: pair.ours, bare: pair.bare });
      }
      say(endpoint.name, pairs);
    }
  } finally {
    await bare?.end();
    await up.end();
  }
}

function say(name: string, pairs: readonly Pair[]): void {
  const of = (pick: (pair: Pair) => number): number => median(pairs.map(pick));
  const line = (which: keyof Pair): string =>
    `${of((pair) => pair[which].requestsPerSecond)
      .toFixed(0)
      .padStart(
        6,
      )}/s p50 ${of((pair) => pair[which].p50Ms).toFixed(1)} p99 ${of((pair) => pair[which].p99Ms).toFixed(1)} ms (${of((pair) => pair[which].bytes)} B)`;
  const ratio = of(({ ours, bare }) => ours.requestsPerSecond / bare.requestsPerSecond);
  const goals = [
    `goal ${GOALS.ratio}`,
    ...(name === 'status' ? [`p99 under ${GOALS.statusP99Ms} ms`] : []),
  ].join(', ');
  console.log(
    `${name.padEnd(14)} ours ${line('ours')}  bare ${line('bare')}  ratio ${ratio.toFixed(2)} (${goals})`,
  );
}

async function main(): Promise<void> {
  const { 'serve-bare': bareUrl, 'data-dir': given } = values;
  if (bareUrl !== undefined) {
    const { port } = await serveBare(bareUrl);
    console.log(`bare server on ${port}`);
    return;
  }
  const made = given === undefined ? mkdtempSync(join(tmpdir(), 'nightshift-bench-')) : null;
  try {
    if (made !== null) makeNight(made);
    console.log(
      `${CONNECTIONS} connections, ${cpus().length} cores, medians of ${values.rounds} × ${values.seconds} s`,
    );
    await compare(made ?? given ?? '');
  } finally {
    if (made !== null) rmSync(made, { recursive: true, force: true });
  }
}

await main();
