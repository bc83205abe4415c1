import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { projectRoot } from '../../scripts/lib/paths.mjs';
import { type RunReport, runReportSchema } from '../../src/contracts/schemas/report.ts';
import { NIGHT_TASKS, type Task } from '../../src/contracts/wire/names.ts';
import { createDatabase, type Sql } from '../../src/db/client.ts';
import { readTableFingerprints } from '../../src/db/queries/fingerprint.ts';
import { listNights } from '../../src/db/queries/nights.ts';
import { attachRuntime } from '../../src/runtime/attach.ts';
import { SCHEDULER_LOG_FILE, TASK_LOG_FILES } from '../../src/runtime/log-files.ts';
import { command, type CommandRun, runCommand } from '../support/command.ts';
import { testConfig } from '../support/house.ts';
import { readLogLines } from '../support/log-lines.ts';
import { changedSessions, readSessionRows } from '../support/session-rows.ts';

/** The real command on `tiny`, everything embedded, as a person runs it; both folders serve the whole file. */
const THREE = ['2018-01-29', '2018-01-30', '2018-01-31'];
const range = (sessions: string[]): string[] => [
  '--from',
  sessions[0] ?? '',
  '--to',
  sessions.at(-1) ?? '',
  '--universe',
  'tiny',
];
const FIRST_TWO = THREE.slice(0, 2);
const LAST = THREE.slice(-1);
const NEWEST = '2018-02-07';
const LIMIT_MS = 600_000;

type Fingerprints = Awaited<ReturnType<typeof readTableFingerprints>>;
type Rows = Awaited<ReturnType<typeof readSessionRows>>;
type Ended = Awaited<ReturnType<typeof command>>;
/** The last night run again where it ran before. */
let again: Ended & { before: Fingerprints; after: Fingerprints };
/** The newest night, stopped by Ctrl-C in the middle, and the same command again. */
let interrupted: Ended & { resumed: CommandRun };
/** The first two nights run after the newest one, whose own rows are read before and after. */
let afterwards: Ended & { newestBefore: Rows; newestAfter: Rows; first: Rows; second: Rows };

let root: string;
const path = (name: string): string => join(root, name);
const owners: CommandRun[] = [];

/** A night of the command that stays up afterwards: what comes next attaches to its instance. */
async function keptUp(...args: string[]): Promise<CommandRun> {
  const run = runCommand(['nightly', ...args, '--keep']);
  owners.push(run);
  await run.printed('Kept up');
  return run;
}

async function inside<T>(folder: string, look: (sql: Sql) => Promise<T>): Promise<T> {
  const runtime = await attachRuntime(path(folder));
  if (runtime === null) throw new Error(`nothing runs on ${folder}`);
  const database = createDatabase(runtime.urls.owner, { max: 1 });
  try {
    return await look(database.sql);
  } finally {
    await database.close();
    await runtime.stop();
  }
}

async function reportsIn(name: string): Promise<RunReport[]> {
  const file: unknown = JSON.parse(await readFile(path(name), 'utf8'));
  const schema: object = JSON.parse(
    await readFile(join(projectRoot, 'contract', 'run-report-file.schema.json'), 'utf8'),
  );
  const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(schema);
  expect(validate(file), JSON.stringify(validate.errors)).toBe(true);
  return Array.isArray(file) ? file.map((one) => runReportSchema.parse(one)) : [runReportSchema.parse(file)];
}

const nightsPrinted = (output: string): string[] =>
  [...output.matchAll(/^Night of (\S+), universe tiny: succeeded/gm)].map(([, session = '']) => session);

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'nightshift-cli-'));
  // The command builds what it runs when that changed: one build, not two at once.
  await command('--help');
  // One folder runs the three nights in an empty folder, the other after the newest one.
  await Promise.all([
    keptUp(...range(THREE), '--json', path('three.json'), '--data-dir', path('here')),
    (async () => {
      const newest = ['--session', NEWEST, '--universe', 'tiny', '--data-dir', path('later')];
      const first = runCommand(['nightly', ...newest]);
      owners.push(first);
      await first.printed('training running');
      first.signal('SIGINT');
      const code = await first.exited;
      const resumed = await keptUp(...newest, '--json', path('resumed.json'));
      interrupted = { code, output: first.output(), resumed };
    })(),
  ]);
  const read = (folder: string, sessions: string[]) =>
    inside(folder, (sql) => readSessionRows(sql, { sessions }));
  const first = await read('here', FIRST_TWO);
  [again, afterwards] = await Promise.all([
    (async () => {
      const before = await inside('here', readTableFingerprints);
      const run = await command('nightly', ...range(LAST), '--data-dir', path('here'));
      return { ...run, before, after: await inside('here', readTableFingerprints) };
    })(),
    (async () => {
      const newestBefore = await read('later', [NEWEST]);
      const run = await command('nightly', ...range(FIRST_TWO), '--data-dir', path('later'));
      const second = await read('later', FIRST_TWO);
      return { ...run, newestBefore, newestAfter: await read('later', [NEWEST]), first, second };
    })(),
  ]);
}, LIMIT_MS);
afterAll(async () => {
  for (const run of owners) {
    run.signal('SIGINT');
    await run.exited;
  }
  await vi.waitFor(() => rm(root, { recursive: true, force: true }), { timeout: 30_000 });
}, LIMIT_MS);

describe('nightly --from --to', () => {
  it('runs three nights in order, each printed and reported', async () => {
    const [owner] = owners;
    expect(nightsPrinted(owner?.output() ?? '')).toEqual(THREE);
    expect(owner?.output()).not.toContain('Run before');
    expect(owner?.output()).toMatch(
      /Kept up.*\n +Temporal Web UI +http.*\n +Temporal +127.*\n +Postgres .*\n +Artifacts +file.*\n +Logs /,
    );
    const reports = await reportsIn('three.json');
    expect(reports.map(({ sessionDate, status }) => [sessionDate, status])).toEqual(
      THREE.map((session) => [session, 'succeeded']),
    );
    for (const { tasks, models, signals } of reports) {
      expect(tasks.map(({ status, attempts }) => [status, attempts])).toEqual(
        Array.from({ length: 5 }, () => ['succeeded', 1]),
      );
      expect(models).toHaveLength(9);
      expect(signals).toHaveLength(8);
    }
  });

  it('matures the predictions of each by the night after it, and not of the last', async () => {
    const rows = await inside(
      'here',
      (sql) => sql<{ predicted: string; outcomes: number; maturedIn: string }[]>`
        select m.session_date as predicted, count(*)::int as outcomes, t.session_date as matured_in
        from turbomode.matured_predictions m join ops.task_runs t using (task_run_id)
        where m.missing_reason is null and m.target_direction is not null
        group by 1, 3 order by 1`,
    );
    const before = THREE.slice(0, -1).map((predicted, i) => [predicted, THREE[i + 1]]);
    expect(rows.map(({ predicted, maturedIn }) => [predicted, maturedIn])).toEqual(before);
    expect(rows.every(({ outcomes }) => outcomes >= 6)).toBe(true);
    const [wrong] = await inside(
      'here',
      (sql) => sql`
        select m.symbol from turbomode.matured_predictions m
        join market.bars entry on entry.symbol = m.symbol and entry.session_date = m.entry_session
        join market.bars exit on exit.symbol = m.symbol and exit.session_date = m.exit_session
        where m.entry_price <> entry.open or m.exit_price <> exit.close
          or abs(m.forward_return - (exit.close / entry.open - 1)) > 1e-9`,
    );
    expect(wrong).toBeUndefined();
  });

  it('changes no row when it is run again, and says so for every night', async () => {
    const { code, output, before, after } = again;
    expect(code, output).toBe(0);
    expect(output).toContain('Using the instance that runs on this folder');
    expect(nightsPrinted(output)).toEqual(LAST);
    expect(
      output.match(/^Run before: no row changed \(the content hashes of \d+ tables are equal\)/gm),
    ).toHaveLength(1);
    expect(after).toEqual(before);
    expect(await inside('here', (sql) => listNights(sql))).toHaveLength(4);
  });

  it('gives the rows it gives in an empty folder, also after the newest night has run', () => {
    const { code, output, first, second } = afterwards;
    expect(code, output).toBe(0);
    expect(nightsPrinted(output)).toEqual(FIRST_TWO);
    // The third night brings the outcomes of what the second predicted.
    const ofThird = `turbomode.matured_predictions ${FIRST_TWO.at(-1)}`;
    expect(second.get(ofThird)).toEqual([]);
    second.delete(ofThird);
    first.delete(ofThird);
    expect(changedSessions(first, second)).toEqual([]);
    expect(second.get(`turbomode.matured_predictions ${FIRST_TWO[0]}`)).toHaveLength(8);
    for (const session of FIRST_TWO) {
      for (const table of ['turbomode.predictions', 'turbomode.signals', 'turbomode.drift_log']) {
        expect(first.get(`${table} ${session}`)?.length, `${table} of ${session}`).toBeGreaterThanOrEqual(8);
      }
    }
    // And the newest night keeps what it had.
    expect(changedSessions(afterwards.newestBefore, afterwards.newestAfter)).toEqual([]);
  });
});

describe('the log files of the nights', () => {
  const lines = (file: string) => readLogLines(join(path('here'), 'logs', file));

  it('name session, task run and run in every line of a task, of both kinds of workers', async () => {
    const rows = await inside(
      'here',
      (sql) => sql<{ task: Task; sessionDate: string; taskRunId: string; runId: string }[]>`
        select r.task, r.session_date, task_run_id, a.run_id
        from ops.task_runs r join ops.task_attempts a using (task_run_id)`,
    );
    for (const task of NIGHT_TASKS) {
      const said = await lines(TASK_LOG_FILES[task]);
      const known = rows.filter((row) => row.task === task);
      const ids = (of: Record<string, unknown>) =>
        [of['sessionDate'], of['taskRunId'], of['runId']].join(' ');
      expect(new Set(said.map(({ fields }) => ids(fields))), task).toEqual(new Set(known.map(ids)));
      const loggers = new Set(said.map(({ logger }) => logger));
      expect([...loggers]).toContain('nightshift.worker');
      if (task === 'training') expect([...loggers]).toContain('nightshift.ml');
    }
  });

  it('name session and run in every line of a night itself', async () => {
    const said = (await lines(SCHEDULER_LOG_FILE)).map(({ fields }) => fields);
    const ofNights = said.filter(({ workflowType }) => workflowType === 'nightlyPipeline');
    expect(new Set(ofNights.map(({ sessionDate }) => sessionDate))).toEqual(new Set(THREE));
    for (const { runId } of ofNights) expect(runId).toMatch(/^[0-9a-f-]{36}$/);
  });
});

describe('what a person asks afterwards', () => {
  const ask = (...args: string[]) => command(...args, '--data-dir', path('here'));

  it('is whether anybody would hear of a failure', async () => {
    const { code, output } = await ask('alerts', 'test');
    expect(code, output).toBe(0);
    expect(output).toMatch(/INFO \[TEST\] test: .*\n(.*\n)*log +log +arrived/);
    expect((await ask('alerts', 'list')).output).toContain('No alert.');
  });

  it(
    'is answered by status, explain, model list and doctor',
    async () => {
      const status = await ask('status');
      expect(status).toMatchObject({
        code: 0,
        output: expect.stringMatching(/2018-01-31\s+tiny\s+succeeded/),
      });
      const night = await ask('status', '--session', '2018-01-31');
      expect(night).toMatchObject({ code: 0, output: expect.stringContaining('Night of 2018-01-31') });
      const explained = await ask('explain', 'xom', '--session', '2018-01-31');
      expect(explained.output).toMatch(
        /^XOM, session 2018-01-31, universe tiny: (hold|outperform \(buy\)|underperform \(sell\))\n/,
      );
      expect(explained.code).toBe(0);
      const models = await ask('model', 'list');
      expect(models.output.match(/tiny-201801\d\d-[0-9a-f]{12} +tiny/g)?.length).toBeGreaterThanOrEqual(3);
      expect(models.output).toMatch(/^\* +tiny-2018/m);
      const doctor = await ask('doctor');
      expect(doctor).toMatchObject({ code: 0, output: expect.stringContaining('ok') });
      expect(doctor.output).not.toContain('FAIL');
    },
    LIMIT_MS,
  );

  it.each([
    [['nightly', '--universe', 'nosuch'], '--universe: nosuch is none of tiny, sample, sp500'],
    [['nightly', '--from', '1980-01-02', '--to', '1980-01-03'], '--from: 1980-01-02 is outside the calendar'],
    [['nightly', '--from', '2018-02-03', '--to', '2018-02-04'], 'no exchange session between'],
    [['nightly', '--from', '2018-01-29'], '--from and --to belong together'],
    [['nightly', '--session', '2018-02-31'], '2018-02-31 is not a date'],
    [['nightly', '--json', '/nowhere/at/all/report.json'], 'cannot be written'],
    [['nightly', '--sessoin', '2018-02-01'], "unknown option '--sessoin'"],
    [['explain', 'XOM', '--session', '2018-02-06'], 'no night of 2018-02-06 has run here'],
    [['review', 'nightly/2018-01-29/tiny', 'skip', '--by', 'Ann', '--why', 'x'], 'waits for a review'],
  ])(
    'wrong use ends with 2 and says why: %j',
    async (args, words) => {
      const { code, output } = await ask(...args);
      expect(output).toContain(words);
      expect(code).toBe(2);
    },
    LIMIT_MS,
  );

  it('a typing error in a configuration ends `config check` with 2 and names its path', async () => {
    await writeFile(path('typo.json'), JSON.stringify(testConfig({ nightshift: { model: { blcoks: 2 } } })));
    const { code, output } = await command('config', 'check', path('typo.json'));
    expect(code).toBe(2);
    expect(output).toContain('nightshift.model');
    expect(output).toContain('blcoks');
  });
});

describe('how a night ends', () => {
  /** Training on a device that is not there, with the data of a night that ran before. */
  const night = async (retries: number, ...more: string[]) => {
    const tasks = {
      2: { max_retries: retries, retry_on_failure: retries > 0 },
      4: { max_retries: 1, retry_on_failure: true },
    };
    const document = testConfig({ tasks, nightshift: { model: { device: 'cuda' } } });
    await writeFile(path('device.json'), JSON.stringify(document));
    const args = ['--session', '2018-01-29', '--universe', 'tiny', '--config', path('device.json')];
    return command('nightly', ...args, '--data-dir', path('here'), ...more);
  };

  it(
    '3: some tasks failed, one succeeded',
    async () => {
      const { code, output } = await night(1);
      expect(output).toMatch(/ingestion +succeeded/);
      expect(output).toMatch(/training +failed/);
      expect(output).toMatch(/overnightScan +skipped/);
      expect(output).toContain('universe tiny: partial');
      expect(code).toBe(3);
    },
    LIMIT_MS,
  );

  it(
    '4: one without retries waits for a person, whose decision ends the night',
    async () => {
      const { code, output } = await night(0, '--no-wait');
      expect(code, output).toBe(4);
      expect(output).toContain('A person has to decide: training failed');
      const id = 'nightly/2018-01-29/tiny';
      const args = ['--by', 'Ann', '--why', 'seen', '--data-dir', path('here')];
      const decided = await command('review', id, 'abort', ...args);
      expect(decided).toMatchObject({ code: 0, output: expect.stringContaining('abort of training') });
      await vi.waitFor(
        async () => {
          const [newest] = await inside('here', (sql) => listNights(sql, { limit: 1 }));
          expect(newest).toMatchObject({ workflowId: id, state: 'failed', reason: 'aborted by Ann: seen' });
        },
        { timeout: 30_000, interval: 200 },
      );
    },
    LIMIT_MS,
  );

  it(
    '1: the night could not be planned',
    async () => {
      await writeFile(path('nowhere.txt'), 'ZZZA\nZZZB\nZZZC\n');
      const { code, output } = await command(
        'nightly',
        '--session',
        '2018-01-29',
        '--universe',
        path('nowhere.txt'),
        '--data-dir',
        path('here'),
        '--json',
        path('failed.json'),
      );
      expect(code, output).toBe(1);
      const [report] = await reportsIn('failed.json');
      expect(report?.status).toBe('failed');
      expect(report?.reason).toContain('ZZZA is not in the data');
      expect(report?.tasks).toEqual([]);
    },
    LIMIT_MS,
  );

  it(
    '0: every task is disabled, so that nothing was wanted and nothing is missing',
    async () => {
      const tasks = Object.fromEntries([1, 2, 3, 4, 5].map((id) => [id, { enabled: false }]));
      await writeFile(path('off.json'), JSON.stringify(testConfig({ tasks })));
      const { code, output } = await command(
        'nightly',
        '--session',
        '2018-01-30',
        '--universe',
        'tiny',
        '--config',
        path('off.json'),
        '--data-dir',
        path('here'),
      );
      expect(output).toContain('universe tiny: disabled');
      expect(code).toBe(0);
    },
    LIMIT_MS,
  );

  it('130: Ctrl-C in the middle; the same command resumes the night once', async () => {
    const { code, output, resumed } = interrupted;
    expect(code, output).toBe(130);
    expect(output).toContain(`The night of ${NEWEST}, tiny is kept`);
    expect(nightsPrinted(output)).toEqual([]);
    expect(resumed.output()).toContain(`Resuming the interrupted night of ${NEWEST}, tiny.`);
    expect(nightsPrinted(resumed.output())).toEqual([NEWEST]);
    const [report] = await reportsIn('resumed.json');
    expect(report?.tasks.map(({ status }) => status)).toEqual(Array.from({ length: 5 }, () => 'succeeded'));
    const nights = await inside('later', (sql) => listNights(sql, { sessionDate: NEWEST }));
    expect(nights.map(({ state, runId }) => [state, runId])).toEqual([['succeeded', report?.runId]]);
  });
});
