/**
 * Ingestion of the bundled set (505 symbols, 619,040 rows) against psql: COPY of the same rows as CSV into a
 * staging table and one INSERT ... ON CONFLICT ... DO UPDATE ... WHERE ... IS DISTINCT FROM.
 *
 * `node bench/run.mjs ingestion [--rounds 5] [--json FILE]`. Both on one embedded Postgres with the product's
 * settings, in turns; medians. Ours is the whole task: reading the archive, calendar, instruments, actions,
 * fundamentals, row checks, provenance, doubts among all symbols, coverage. The re-run fetches and compares every
 * row again and validates everything anew, though a night would not. Rows must agree before a time is printed.
 */
import { spawnSync } from 'node:child_process';
import { createWriteStream, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { projectRoot } from '../scripts/lib/paths.mjs';
import { createIngestionActivities } from '../src/activities/ingestion/activities.ts';
import type { TaskResult, TaskStep } from '../src/contracts/activities.ts';
import { configHash, effectiveConfig, parseConfigFile } from '../src/contracts/schemas/config.ts';
import { createDatabase, type Sql } from '../src/db/client.ts';
import { migrate } from '../src/db/migrate.ts';
import { beginAttempt } from '../src/db/queries/attempts.ts';
import { insertConfig } from '../src/db/queries/configs.ts';
import { insertTaskRuns } from '../src/db/queries/task-runs.ts';
import { roleUrl } from '../src/db/roles.ts';
import { sessionDateOf } from '../src/domain/bars.ts';
import { universeVersionOf } from '../src/domain/universe.ts';
import { createArchiveProvider } from '../src/providers/archive/archive-provider.ts';
import { readSessionTable, XNYS_CALENDAR_FILE } from '../src/providers/calendar-file.ts';
import { createProviderChain } from '../src/providers/chain.ts';
import type { MarketDataProvider } from '../src/providers/port.ts';
import { readUniverse, UNIVERSES_FOLDER } from '../src/providers/universe-file.ts';
import { chooseFreePorts } from '../src/runtime/ports.ts';
import { ownerUrl, postgresSpec } from '../src/runtime/postgres.ts';
import { Supervised } from '../src/runtime/supervisor.ts';
import { median } from './lib/report.ts';

const SESSION = '2018-02-07';
const PASSWORD = 'bench';
const ARCHIVE = join(projectRoot, 'data', 'sample');
const GOALS = { first: 0.9, again: 1.5 };

type Server = { folder: string; connection: { port: number; ownerPassword: string }; stop(): Promise<void> };
type Round = {
  first: number;
  again: number;
  next: number;
  psqlFirst: number;
  psqlAgain: number;
  rows: number;
};

async function startServer(): Promise<Server> {
  const folder = await mkdtemp(join(tmpdir(), 'nightshift-bench-'));
  const [port = 0] = await chooseFreePorts(1);
  const connection = { port, ownerPassword: PASSWORD };
  const spec = await postgresSpec({
    ...connection,
    dataDir: join(folder, 'postgres'),
    tempDir: folder,
    onLine: () => undefined,
  });
  const server = new Supervised(spec, {
    onNote: () => undefined,
    onChange: () => undefined,
    onGivenUp: (_name, error) => console.error(error.message),
  });
  await server.start();
  return {
    folder,
    connection,
    stop: async () => {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function writeCsv(path: string): Promise<number> {
  const archive = createArchiveProvider({ directory: ARCHIVE });
  const { symbols } = await archive.coverage();
  const request = { symbols: symbols ?? [], from: '2013-02-08', to: SESSION, asOfSession: SESSION };
  const file = createWriteStream(path);
  let rows = 0;
  for (const result of await archive.bars(request)) {
    if (!result.ok) continue;
    const { symbol, epochDays, open, high, low, close, volume } = result.value.bars;
    const cell = (value: number | undefined): string =>
      value === undefined || Number.isNaN(value) ? '' : String(value);
    for (const [row, day] of epochDays.entries()) {
      const cells = [open, high, low, close, volume].map((column) => cell(column[row]));
      file.write(`${symbol},${sessionDateOf(day)},${cells.join(',')}\n`);
      rows += 1;
    }
  }
  file.end();
  await finished(file);
  return rows;
}

/** Seconds of COPY into staging and merge, as psql runs them. */
function runPsql(url: string, csv: string): number {
  const script = `
    begin;
    create temp table staging (symbol text, ts date, open float8, high float8, low float8, close float8, volume float8)
      on commit drop;
    \\copy staging from '${csv}' with (format csv)
    insert into public.ohlcv as o select * from staging
    on conflict (symbol, ts) do update set open = excluded.open, high = excluded.high, low = excluded.low,
      close = excluded.close, volume = excluded.volume
    where (o.open, o.high, o.low, o.close, o.volume) is distinct from
      (excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume);
    commit;`;
  // psql takes a backslash command only on one line of its own.
  const oneLine = script.replace(/^ +/gm, '');
  const startedAt = performance.now();
  const run = spawnSync('psql', ['-q', '-v', 'ON_ERROR_STOP=1', '-f', '-', url], {
    input: oneLine,
    encoding: 'utf8',
  });
  if (run.status !== 0) throw new Error(`psql failed: ${run.stderr || String(run.error)}`);
  return (performance.now() - startedAt) / 1000;
}

/** The task as a worker runs it, two batches at a time. Seconds and the task's result. */
async function ingest(input: {
  urls: { ingest: string; pipeline: string };
  archive: MarketDataProvider;
  name: string;
  sessionDate: string;
  overlapSessions: number;
}): Promise<{ seconds: number; result: TaskResult }> {
  const db = createDatabase(input.urls.ingest);
  const pipeline = createDatabase(input.urls.pipeline, { max: 1 });
  try {
    const step = await begin(pipeline.sql, input);
    const startedAt = performance.now();
    const activities = createIngestionActivities({
      db,
      provider: () => createProviderChain({ providers: [input.archive] }),
      sessions: () => readSessionTable(join(projectRoot, XNYS_CALENDAR_FILE)),
      readUniverse: (name) =>
        readUniverse({ nameOrFile: name, bundledFolder: join(projectRoot, UNIVERSES_FOLDER) }),
      clock: () => new Date(),
    });
    const { batches, parallelBatches } = await asActivity(() => activities.planIngestion(step));
    const queue = [...batches];
    const lane = async (): Promise<void> => {
      for (let batch = queue.shift(); batch !== undefined; batch = queue.shift()) {
        const next = batch;
        await asActivity(() => activities.ingestBatch({ ...step, batch: next }));
      }
    };
    await Promise.all(Array.from({ length: parallelBatches }, lane));
    const result = await asActivity(() => activities.finishIngestion(step));
    return { seconds: (performance.now() - startedAt) / 1000, result };
  } finally {
    await Promise.all([db.close(), pipeline.close()]);
  }
}

function asActivity<T>(activity: () => Promise<T>): Promise<T> {
  return new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') }).run(activity);
}

async function begin(
  sql: Sql,
  input: { name: string; sessionDate: string; overlapSessions: number },
): Promise<TaskStep> {
  const { sessionDate, overlapSessions } = input;
  const file = parseConfigFile({
    scheduled_tasks: [{ task_id: 1 }],
    nightshift: { universes: { sp500: { ingestion: { overlapSessions } } } },
  });
  const config = effectiveConfig(file, 'sp500');
  const hash = configHash(config);
  await insertConfig(sql, { configHash: hash, body: config });
  const { symbols } = await readUniverse({
    nameOrFile: 'sp500',
    bundledFolder: join(projectRoot, UNIVERSES_FOLDER),
  });
  const common = {
    taskRunId: input.name,
    task: 'ingestion',
    sessionDate,
    universe: 'sp500',
    universeVersion: universeVersionOf(symbols),
    configHash: hash,
    trigger: 'cli',
    forced: false,
    timeoutMs: 1_800_000,
  } as const;
  await insertTaskRuns(sql, [
    {
      ...common,
      nightWorkflowId: null,
      nightRunId: null,
      starterWorkflowId: input.name,
      starterRunId: input.name,
      state: 'pending',
      reason: null,
      requestedBy: null,
      maxAttempts: 1,
      dependsOn: [],
      notBefore: null,
    },
  ]);
  const fence = { taskRunId: input.name, workflowId: input.name, runId: input.name, attempt: 1 };
  await beginAttempt(sql, fence);
  return { ...common, turn: 0, fence };
}

async function runRound(server: Server, input: { round: number; csv: string }): Promise<Round> {
  const { connection } = server;
  const database = `round_${input.round}`;
  const admin = createDatabase(ownerUrl({ ...connection, database: 'postgres' }), { max: 1 });
  await admin.sql.unsafe(`create database ${database}`);
  const url = ownerUrl({ ...connection, database });
  const rolePasswords = {
    ingest: PASSWORD,
    pipeline: PASSWORD,
    ml: PASSWORD,
    maintenance: PASSWORD,
    api: PASSWORD,
  };
  await migrate({ ownerUrl: url, rolePasswords });
  const owner = createDatabase(url, { max: 1 });
  await owner.sql`
    create table public.ohlcv (symbol text, ts date, open float8, high float8, low float8, close float8,
      volume float8, primary key (symbol, ts))`;
  const urls = {
    ingest: roleUrl({ url, role: 'ingest', password: PASSWORD }),
    pipeline: roleUrl({ url, role: 'pipeline', password: PASSWORD }),
  };
  // A worker keeps its provider: the first load reads the archive's files, the re-run finds them in memory.
  const archive = createArchiveProvider({ directory: ARCHIVE });
  const everything = { urls, archive, sessionDate: SESSION, overlapSessions: 5000 };
  await owner.sql`checkpoint`;
  const psqlFirst = runPsql(url, input.csv);
  await owner.sql`checkpoint`;
  const first = await ingest({ ...everything, name: 'first' });
  await owner.sql`checkpoint`;
  const psqlAgain = runPsql(url, input.csv);
  // Doubts are remembered: without this a re-run would not look for them again.
  await owner.sql`delete from market.validation_state`;
  await owner.sql`checkpoint`;
  const again = await ingest({ ...everything, name: 'again' });
  const next = await ingest({ ...everything, name: 'next', overlapSessions: 5 });
  await check(owner.sql, again.result);
  await owner.close();
  await admin.sql.unsafe(`drop database ${database} with (force)`);
  await admin.close();
  return {
    first: first.seconds,
    again: again.seconds,
    next: next.seconds,
    psqlFirst,
    psqlAgain,
    rows: Number(first.result['rowsFetched']),
  };
}

/** Every row of the reference is ours too, or in quarantine, and the re-run changed none. */
async function check(sql: Sql, again: TaskResult): Promise<void> {
  const [row] = await sql<{ different: number; missing: number }[]>`
    select count(*) filter (where b.symbol is not null and (b.open, b.high, b.low, b.close, b.volume)
        is distinct from (o.open, o.high, o.low, o.close, o.volume)) as different,
      count(*) filter (where b.symbol is null) as missing
    from public.ohlcv o left join market.bars b on b.symbol = o.symbol and b.session_date = o.ts`;
  if (row?.different !== 0 || row.missing !== again['quarantined'] || again['rowsChanged'] !== 0) {
    throw new Error(`rows differ: ${JSON.stringify(row)}, ${JSON.stringify(again)}`);
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { rounds: { type: 'string', default: '5' }, json: { type: 'string' } },
  });
  if (spawnSync('psql', ['--version']).status !== 0) {
    console.log('skipped: this bench measures against psql, and there is none on the PATH');
    return;
  }
  const server = await startServer();
  try {
    const csv = join(server.folder, 'bars.csv');
    const csvRows = await writeCsv(csv);
    const rounds: Round[] = [];
    for (let round = 0; round <= Number(values.rounds); round += 1) {
      const measured = await runRound(server, { round, csv });
      if (measured.rows !== csvRows) throw new Error(`${measured.rows} rows fetched, ${csvRows} in the CSV`);
      // The first round warms files, code and the server's catalog.
      if (round > 0) rounds.push(measured);
    }
    report({ rounds, rows: csvRows, json: values.json });
  } finally {
    await server.stop();
  }
}

function report(input: { rounds: Round[]; rows: number; json: string | undefined }): void {
  const { rounds, rows } = input;
  const seconds = (name: keyof Round): number => median(rounds.map((round) => round[name]));
  const ratio = (ours: keyof Round, theirs: keyof Round): number =>
    median(rounds.map((round) => round[theirs] / round[ours]));
  const lines = [
    { name: 'psql, first load', seconds: seconds('psqlFirst'), ratio: null, goal: null },
    {
      name: 'ours, first load',
      seconds: seconds('first'),
      ratio: ratio('first', 'psqlFirst'),
      goal: GOALS.first,
    },
    { name: 'psql, all rows there', seconds: seconds('psqlAgain'), ratio: null, goal: null },
    {
      name: 'ours, unchanged re-run',
      seconds: seconds('again'),
      ratio: ratio('again', 'psqlAgain'),
      goal: GOALS.again,
    },
    { name: 'ours, re-run as a night does it', seconds: seconds('next'), ratio: null, goal: null },
  ];
  console.log(`${rows} rows of 505 symbols, medians of ${rounds.length} rounds in turns`);
  console.log(`${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'}), Node ${process.version}`);
  for (const line of lines) {
    // A night asks for the overlap only: rows per second would compare different work.
    const rate = line.name.endsWith('does it')
      ? ''
      : `${Math.round(rows / line.seconds).toLocaleString('en-US')} rows/s`;
    const verdict =
      line.ratio === null || line.goal === null
        ? ''
        : `  ${line.ratio.toFixed(2)} x psql, goal ${line.goal}: ${line.ratio >= line.goal ? 'met' : 'missed'}`;
    console.log(
      `${line.name.padEnd(32)} ${line.seconds.toFixed(2).padStart(6)} s  ${rate.padStart(16)}${verdict}`,
    );
  }
  if (input.json !== undefined) {
    writeFileSync(input.json, `${JSON.stringify({ rows, rounds, lines }, null, 2)}\n`);
  }
}

await main();
