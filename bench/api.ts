/**
 * The HTTP API under load against bare endpoints: Hono and postgres.js (the reference; beside it node-postgres) with
 * the one statement each answer needs, prepared, and nothing else.
 *
 * `node bench/run.mjs api [--universe tiny] [--rounds 5] [--seconds 4] [--only NAME] [--data-dir FOLDER]`. Makes a
 * night in a folder of its own (or takes one that holds a night), starts the instance on it as `nightshift up` does,
 * with token, checks and log lines as always, and loads the servers in turns over 100 connections. They run as
 * processes of their own beside Postgres and this one, which makes the load. Medians; ratios are of each round.
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
import { BARE_DRIVERS, serveBare } from './lib/bare-api.ts';
import { type Load, loadOf } from './lib/load.ts';
import { median } from './lib/report.ts';

const CONNECTIONS = 100;
const GOALS = { ratio: 0.7, statusP99Ms: 50 };
/** Both are at their best after so many seconds: code is compiled, statements are prepared. */
const WARM_SECONDS = 2;

type Endpoint = { name: string; ours: (connection: number) => string; bare: string };
const SERVERS = ['ours', ...BARE_DRIVERS] as const;
type ServerName = (typeof SERVERS)[number];
type Round = Record<ServerName, Load>;
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
    driver: { type: 'string', default: BARE_DRIVERS[0] },
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
  const bare: Server[] = [];
  try {
    const runtime = await attachRuntime(dataDir);
    if (runtime === null || runtime.api === null) throw new Error('the instance has no API');
    const portOf = async (driver: string): Promise<number> => {
      const args = [process.argv[1] ?? '', '--serve-bare', runtime.urls.api, '--driver', driver];
      const server = await started(args, 'bare server on');
      bare.push(server);
      return Number(server.line.split(' ').at(-1));
    };
    const token = readFileSync(dataFolderAt(dataDir).adminToken, 'utf8').trim();
    const runId = await someRun(runtime.urls.api);
    const ports: Record<ServerName, number> = {
      ours: Number(new URL(runtime.api).port),
      'postgres.js': await portOf('postgres.js'),
      pg: await portOf('pg'),
    };
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
    const load = (which: ServerName, endpoint: Endpoint, seconds: number): Promise<Load> =>
      loadOf(
        which === 'ours'
          ? { port: ports.ours, pathOf: endpoint.ours, token }
          : { port: ports[which], pathOf: () => endpoint.bare },
        { connections: CONNECTIONS, seconds },
      );
    for (const endpoint of endpoints.filter(({ name }) => name.startsWith(values.only))) {
      const rounds: Round[] = [];
      for (const which of SERVERS) await load(which, endpoint, WARM_SECONDS);
      for (let round = 0; round < Number(values.rounds); round += 1) {
        const seconds = Number(values.seconds);
        const order = round % 2 === 0 ? SERVERS : SERVERS.toReversed();
        const loads = new Map<ServerName, Load>();
        for (const which of order) loads.set(which, await load(which, endpoint, seconds));
        rounds.push(roundOf(loads));
      }
      say(endpoint.name, rounds);
    }
  } finally {
    for (const server of bare) await server.end();
    await up.end();
  }
}

function roundOf(loads: ReadonlyMap<ServerName, Load>): Round {
  const of = (which: ServerName): Load => {
    const load = loads.get(which);
    if (load === undefined) throw new Error(`${which} was not loaded`);
    return load;
  };
  return { ours: of('ours'), 'postgres.js': of('postgres.js'), pg: of('pg') };
}

function say(name: string, rounds: readonly Round[]): void {
  const of = (pick: (round: Round) => number): number => median(rounds.map(pick));
  const line = (which: ServerName): string => {
    const rate = of((round) => round[which].requestsPerSecond).toFixed(0);
    const p50 = of((round) => round[which].p50Ms).toFixed(1);
    const p99 = of((round) => round[which].p99Ms).toFixed(1);
    const ratio = of((round) => round.ours.requestsPerSecond / round[which].requestsPerSecond);
    const share = which === 'ours' ? '' : `  ours is ${ratio.toFixed(2)} of it`;
    const bytes = of((round) => round[which].bytes);
    return `  ${which.padEnd(12)}${rate.padStart(6)}/s p50 ${p50} p99 ${p99} ms (${bytes} B)${share}`;
  };
  const goals = [
    `goal: ${GOALS.ratio} of ${BARE_DRIVERS[0]}`,
    ...(name === 'status' ? [`p99 under ${GOALS.statusP99Ms} ms`] : []),
  ].join(', ');
  console.log([`${name} (${goals})`, ...SERVERS.map(line)].join('\n'));
}

async function main(): Promise<void> {
  const { 'serve-bare': bareUrl, 'data-dir': given } = values;
  if (bareUrl !== undefined) {
    const driver = BARE_DRIVERS.find((one) => one === values.driver);
    if (driver === undefined) throw new Error(`--driver is one of ${BARE_DRIVERS.join(', ')}`);
    const { port } = await serveBare(bareUrl, driver);
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
