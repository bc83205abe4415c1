import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { insertTaskRuns } from '../../src/db/queries/task-runs.ts';
import { attachRuntime } from '../../src/runtime/attach.ts';
import { withDatabase } from '../../src/runtime/with-database.ts';
import { ApiLoad } from '../support/api-load.ts';
import { childrenOf, type InstanceProcess, startInstance } from '../support/instance.ts';
import { copyFolder, sharedPreparedFolder, type TestFolder } from '../support/prepared-folder.ts';
import { newTaskRun } from '../support/rows.ts';

let folder: TestFolder;
let up: InstanceProcess;

describe('the API under load', () => {
  const rows = 10_000;
  let load: ApiLoad;
  let apiPid: number | undefined;
  const pidOf = async (name: string): Promise<number | undefined> =>
    (await childrenOf(folder.path))[name]?.identity.pid;
  /** Kills it, and again as soon as it is back, until the API has said so; returns the last process. */
  const killUntil = async (name: string, isSaid: () => boolean): Promise<number | undefined> => {
    let killed: number | undefined;
    const look = async (): Promise<boolean> => {
      const pid = await pidOf(name);
      if (pid !== undefined && pid !== killed) process.kill(pid, 'SIGKILL');
      killed = pid ?? killed;
      return isSaid();
    };
    await expect.poll(look, { timeout: 15_000, interval: 50 }).toBe(true);
    return killed;
  };

  const backAfter = async (name: string, killed: number | undefined): Promise<void> => {
    await expect
      .poll(async () => [undefined, killed].includes(await pidOf(name)), { timeout: 20_000, interval: 50 })
      .toBe(false);
  };
  /** Everything is answered rightly so often, one after the other without trouble in between. */
  const wellAgain = async (times: number): Promise<void> => {
    load.forget();
    const isWell = (): boolean => {
      if (load.isTroubled) load.forget();
      return load.isWell(times);
    };
    await expect.poll(isWell, { timeout: 60_000, interval: 100 }).toBe(true);
  };

  beforeAll(async () => {
    folder = await copyFolder(await sharedPreparedFolder());
    up = startInstance({
      args: ['up', '--data-dir', folder.path],
      env: { NIGHTSHIFT_API_REQUESTS_PER_MINUTE: '1000000' },
    });
    await up.printed('Running. Ctrl-C stops it.');
    const [, url = ''] = /API +(http:\/\/127\.0\.0\.1:\d+)/.exec(up.output()) ?? [];
    const [, token = ''] = /Admin token +(nst_\S+)/.exec(up.output()) ?? [];
    const runId = await insertSignals(rows);
    apiPid = await pidOf('api');
    load = await ApiLoad.start({
      url,
      token,
      reads: [
        '/scheduler/status',
        '/api/v1/runs',
        `/api/v1/runs/${runId}`,
        '/api/v1/signals',
        '/api/v1/schedules',
      ],
      stream: { path: '/api/v1/signals', rows },
      run: '/scheduler/run_weekly_maintenance?sessionDate=2018-02-07',
    });
  });
  afterAll(async () => {
    await load.stop();
    up.process.kill('SIGTERM');
    await up.exited;
    await folder.dispose();
  });

  it.each([
    ['postgres', 'database-down'],
    ['temporal', 'temporal-down'],
  ])('says that %s was killed, and goes on by itself once it is back', async (name, kind) => {
    await wellAgain(1);
    const readOn = load.holdStream();
    await expect.poll(() => load.isStreaming, { timeout: 10_000, interval: 5 }).toBe(true);
    const killed = await killUntil(name, () => load.kinds.has(kind)).finally(readOn);
    await backAfter(name, killed);
    await wellAgain(2);
    expect(load.wrong).toEqual([]);
  });

  it('names the queues of a worker that hangs or was killed, and since when', async () => {
    await wellAgain(1);
    // Stopped it beats no more, as if it had been killed, and nobody starts another one meanwhile.
    const hung = (await pidOf('worker-1')) ?? 0;
    process.kill(hung, 'SIGSTOP');
    const stoppedMs = Date.now();
    const queues = ['workers on market-data', 'workers on pipeline'];
    const named = () => [...load.missing.keys()].toSorted();
    await expect.poll(named, { timeout: 25_000, interval: 50 }).toEqual(queues);
    for (const queue of queues) {
      const [, since = ''] = /^no worker asks for work since (.*)$/.exec(load.missing.get(queue) ?? '') ?? [];
      expect(Math.abs(Date.parse(since) - stoppedMs)).toBeLessThan(5_000);
    }
    process.kill(hung, 'SIGKILL');
    await backAfter('worker-1', hung);
    await wellAgain(2);
    expect(load.wrong).toEqual([]);
  });

  it('has broken the streams it could not finish, and is the same process', async () => {
    expect(load.brokenStreams).toBeGreaterThan(0);
    expect(await pidOf('api')).toBe(apiPid);
    const scheduler = await readFile(join(folder.path, 'logs', 'scheduler.log'), 'utf8');
    expect(scheduler).not.toContain('request failed');
  });
});

/** A scan with as many signals; returns the id of its run. */
async function insertSignals(rows: number): Promise<string> {
  const runtime = await attachRuntime(folder.path);
  const run = newTaskRun({ task: 'overnightScan', state: 'succeeded' });
  await withDatabase(runtime?.urls.owner ?? '', async (sql) => {
    await insertTaskRuns(sql, [run]);
    await sql`
      update ops.task_runs set started_at = now(), result = '{"modelVersion": "m", "revision": 1}'
      where task_run_id = ${run.taskRunId}`;
    await sql`
      insert into turbomode.signals (session_date, universe, universe_version, model_version, revision, symbol, rank,
        side, probability, base_rate, confidence, reason_code, reason_words, reasons, data_cutoff,
        feature_set_version, task_run_id)
      select ${run.sessionDate}, ${run.universe}, ${run.universeVersion}, 'm', 1, 'S' || number, number, 'buy', 0.6,
        0.5, 0.1, 'edge', 'over the threshold',
        (select jsonb_agg(jsonb_build_object('feature', 'f' || i, 'value', i / 7.0, 'contribution', i / 70.0))
         from generate_series(1, 3) i),
        now(), 'v', ${run.taskRunId}
      from generate_series(1, ${rows}::int) number`;
  });
  await runtime?.stop();
  return run.taskRunId;
}
