import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createDatabase, type Database } from '../../src/db/client.ts';
import { createTestDatabase, type TestDatabase } from '../support/env.ts';
import { type PythonProcess, startPython } from '../support/ml-worker.ts';
import { eventually } from '../support/rig.ts';

/** The module alone, faster than in the worker; a line on its input says whether the server answers. */
const SCRIPT = `import sys
from nightshift_ml.liveness import Liveness
from nightshift_ml.logs import configure_logging

configure_logging()
answers = True

def reach():
    if not answers:
        raise ConnectionError("Temporal does not answer")

liveness = Liveness(sys.argv[1], reach=reach, beat_seconds=0.1, max_gap_seconds=float(sys.argv[2]))
liveness.start()
for line in sys.stdin:
    answers = line == "up\\n"
liveness.stop()
`;

let database: TestDatabase;
let owner: Database;
const beaters: PythonProcess[] = [];
beforeEach(async () => {
  database = await createTestDatabase();
  owner = createDatabase(database.urls.owner, { max: 1 });
});
afterEach(async () => {
  await Promise.all(beaters.splice(0).map((beater) => beater.kill('SIGKILL')));
  await owner.close();
  await database.drop();
});

function startBeater(maxGapSeconds = 60): PythonProcess {
  const beater = startPython(['-c', SCRIPT, database.urls.ml, String(maxGapSeconds)]);
  beaters.push(beater);
  return beater;
}
type Stretch = { process: string; pid: number; upSince: string; beatAt: string };
const stretches = () =>
  owner.sql<Stretch[]>`select process, pid, up_since, beat_at from ops.liveness order by up_since`;
/** Waits for beats after now. */
async function beaten(): Promise<Stretch[]> {
  const [row] = await owner.sql<{ now: string }[]>`select now()`;
  return eventually('a beat', async () => {
    const rows = await stretches();
    return rows.some(({ beatAt }) => beatAt > (row?.now ?? '')) && rows;
  });
}

describe('beats of the model worker, as role ml', () => {
  it('extend one stretch while they are close, and end with the process', async () => {
    const beater = startBeater();
    await beaten();
    const rows = await beaten();
    expect(rows).toHaveLength(1);
    expect(rows[0]).toMatchObject({ process: 'ml', pid: beater.process.pid });
    expect(rows[0]?.upSince).not.toBe(rows[0]?.beatAt);
    beater.process.stdin?.end();
    expect(await beater.exited).toBe(0);
    expect(beater.lines()).toEqual([]);
    const [last] = await stretches();
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(await stretches()).toEqual([last]);
  });

  it('leave a gap while the Temporal server is out of reach, with one line for loss and recovery', async () => {
    const beater = startBeater(0.3);
    await beaten();
    beater.process.stdin?.write('down\n');
    expect(await beater.printed('liveness is not recorded')).toMatchObject({
      level: 'WARNING',
      msg: 'liveness is not recorded, trying on: Temporal does not answer',
    });
    await new Promise((resolve) => setTimeout(resolve, 800));
    beater.process.stdin?.write('up\n');
    expect((await beater.printed('recorded again')).level).toBe('INFO');
    const rows = await beaten();
    expect(rows.length).toBeGreaterThanOrEqual(2);
    expect(beater.lines()).toHaveLength(2);
  });

  it('come back by themselves after the database was away', async () => {
    const beater = startBeater();
    await beaten();
    const admin = new URL(database.urls.owner);
    admin.pathname = '/postgres';
    const elsewhere = createDatabase(admin.href, { max: 1 });
    const allow = (yes: boolean) =>
      elsewhere.sql.unsafe(`alter database ${database.name} allow_connections ${yes}`);
    try {
      await allow(false);
      await elsewhere.sql`select pg_terminate_backend(pid) from pg_stat_activity where datname = ${database.name}`;
      await beater.printed('liveness is not recorded');
      await allow(true);
      await beater.printed('recorded again');
    } finally {
      await allow(true);
      await elsewhere.close();
    }
    await beaten();
    expect(beater.lines().map(({ level }) => level)).toEqual(['WARNING', 'INFO']);
    expect(JSON.stringify(beater.lines())).not.toContain(new URL(database.urls.ml).password);
  });
});
