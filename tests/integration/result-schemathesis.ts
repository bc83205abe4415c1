import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ApplicationFailure } from '@temporalio/common';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { projectRoot, venvPython } from '../../scripts/lib/paths.mjs';
import { createDecisionActivities } from '../../src/activities/decisions/activities.ts';
import { adoptFileAtStart } from '../../src/activities/planning/config-source.ts';
import { createRunActivities } from '../../src/activities/runs.ts';
import { MODELS } from '../../src/contracts/wire/names.ts';
import { createArchiveProvider } from '../../src/providers/archive/archive-provider.ts';
import { readSessionTable, XNYS_CALENDAR_FILE } from '../../src/providers/calendar-file.ts';
import { readUniverse } from '../../src/providers/universe-file.ts';
import { createFakes } from '../support/fakes.ts';
import { testConfig } from '../support/house.ts';
import { serveApi } from '../support/served-api.ts';
import { holdBack } from './result-data-checks.ts';
import { NEXT, type ResultHouse, S, UNIVERSE } from './result-house.ts';

const SAMPLE = join(projectRoot, 'data', 'sample');
const HOOKS = join(projectRoot, 'tests', 'support', 'schemathesis_hooks.py');
/** What `npm run schemathesis` asks for instead of the short form. */
const MORE = process.env['NIGHTSHIFT_SCHEMATHESIS'];
const SHORT = ['--phases', 'coverage,fuzzing', '--max-examples', '3', '--seed', '20180207'];
const LIMIT_MS = MORE === undefined ? 240_000 : 6 * 3_600_000;
const SHORT_CONFIGURATION = `
[phases.coverage]
unexpected-methods = ["DELETE", "TRACE"]

[[operations]]
# Each is run_task with a number, which is asked everything.
include-path-regex = "^/scheduler/run_(?!task)"
phases = { coverage = { enabled = false } }
`;
/** Schemathesis asks for a token's refusal too: nobody is told to come back later. */
const NO_LIMITS = { tokenPerMinute: 1_000_000, anonymousPerMinute: 1_000_000 };

/** On a busy machine the server of the tests may take longer than the API waits for it. */
const MOST_UNAVAILABLE = 10;

/** The first step of each task. It fails: results of runs that are asked for here would hide those of the night. */
const FIRST_STEPS = ['planIngestion', 'planFits', 'planScan', 'runDrift', 'vacuumDatabase'] as const;

/** Every call of the OpenAPI document with data it allows and forbids: each answer has to be as it says. */
export function checkWithSchemathesis(house: ResultHouse): void {
  it(
    'Schemathesis finds no answer that is not as the document says',
    async () => {
      const folder = await mkdtemp(join(tmpdir(), 'nightshift-schemathesis-'));
      const failures: string[] = [];
      let unavailable = 0;
      const api = await serveApi({
        ...house.deps,
        configPath: await letActsHappen(house),
        limits: NO_LIMITS,
        log: (level, message, fields) => {
          if (message.endsWith(' 503')) unavailable += 1;
          if (level === 'ERROR') failures.push(`${message}: ${JSON.stringify(fields)}`);
        },
      });
      try {
        await holdBack(house);
        await writeFile(join(folder, 'schemathesis.toml'), await configurationOf(house));
        const { code, output } = await schemathesis(folder, api.url, house.token('admin'));
        if (MORE !== undefined) console.log(output);
        expect(code, [...failures, output].join('\n')).toBe(0);
        expect(output).toMatch(/Tested: +\d+/);
        expect(failures).toEqual([]);
        expect(unavailable).toBeLessThan(MOST_UNAVAILABLE);
      } finally {
        await api.close();
        await rm(folder, { recursive: true, force: true });
        await removeSchedules(house);
      }
    },
    LIMIT_MS,
  );
}

/** Runs its command line in a folder with its configuration. */
async function schemathesis(
  folder: string,
  url: string,
  token: string,
): Promise<{ code: number | null; output: string }> {
  const args = MORE === undefined ? SHORT : MORE.split(' ').filter((part) => part !== '');
  const child = spawn(
    venvPython(),
    ['-m', 'schemathesis.cli', '--no-color', 'run', `${url}/openapi.json`, '--checks', 'all', ...args],
    { cwd: folder, env: { ...process.env, NIGHTSHIFT_TOKEN: token }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return { code, output };
}

/** Lets the house carry out what its API is asked for; resolves to its configuration file. */
async function letActsHappen({ rig, temporal }: ResultHouse): Promise<string> {
  const configPath = join(rig.folder, 'scheduler_config.json');
  await writeFile(configPath, JSON.stringify(testConfig({ maxConcurrentJobs: 4 })));
  await adoptFileAtStart(rig.db('pipeline').sql, { path: configPath, named: true });
  const sessions = () => readSessionTable(join(projectRoot, XNYS_CALENDAR_FILE));
  const archive = createArchiveProvider({ directory: SAMPLE });
  const runs = createRunActivities({
    database: rig.db('pipeline'),
    client: temporal.client,
    provider: () => archive,
    sessions,
    readUniverse: (nameOrFile) => readUniverse({ nameOrFile, bundledFolder: join(SAMPLE, 'universes') }),
    configPath,
    configNamed: true,
    dataDir: rig.folder,
  });
  const fail = async (): Promise<never> => {
    throw ApplicationFailure.nonRetryable('nothing is made here', 'DataDefect');
  };
  temporal.slotRows = rig.db('pipeline').sql;
  temporal.use({
    ...createFakes().activities,
    ...runs,
    ...Object.fromEntries(FIRST_STEPS.map((name) => [name, fail])),
    ...createDecisionActivities({ db: rig.db('ingest'), sessions, clock: () => rig.now }),
  });
  return configPath;
}

/** What is really there, by the parameter that names it, and how Schemathesis asks. */
async function configurationOf(house: ResultHouse): Promise<string> {
  const namesIn = async (path: string, field: string): Promise<string[]> => {
    const { items } = z
      .object({ items: z.array(z.record(z.string(), z.unknown())) })
      .parse(await house.get(path));
    return items.map((item) => z.string().parse(item[field]));
  };
  const known: Record<string, string[]> = {
    sessions: [S, NEXT],
    universes: [UNIVERSE],
    symbols: await namesIn('/api/v1/signals', 'symbol'),
    versions: [z.string().parse(house.resultOf('training')['modelVersion'])],
    taskRuns: await namesIn('/api/v1/runs', 'runId'),
    nights: await namesIn('/api/v1/nights', 'runId'),
    features: await namesIn('/api/v1/drift?limit=20', 'series'),
    models: [...MODELS, 'meta', 'meanLogit'],
    dimensions: ['all', 'month', 'sector', 'decile', 'portfolio', 'benchmark'],
    quarantined: await namesIn('/api/v1/data/quarantine?status=all', 'id'),
  };
  const often = (dictionary: string) => `{ dictionary = "${dictionary}", probability = 0.8 }`;
  const always = (dictionary: string) => `{ dictionary = "${dictionary}" }`;
  return `
hooks = ${JSON.stringify(HOOKS)}
headers = { Authorization = "Bearer \${NIGHTSHIFT_TOKEN}" }
request-timeout = 20
continue-on-failure = true

[generation]
# Its own guess is made with a header, where no server takes one.
allow-x00 = true
database = "none"

[checks.not_a_server_error]
# A server behind the API that is late is answered 503, as the document says; how often is looked at by the test.
expected-statuses = ["2xx", "3xx", "4xx", 503]

[output]
truncation = { enabled = false }
sanitization = { keys-to-sanitize = ["authorization"], sensitive-markers = [] }

[dictionaries]
${Object.entries(known)
  .map(([name, values]) => `${name} = { values = ${JSON.stringify(values)} }`)
  .join('\n')}

[parameters]
"path.session" = ${often('sessions')}
"query.session" = ${often('sessions')}
"query.sessionDate" = ${often('sessions')}
"query.from" = ${often('sessions')}
"query.to" = ${often('sessions')}
"query.universe" = ${often('universes')}
"path.symbol" = ${often('symbols')}
"path.version" = ${often('versions')}
"path.series" = ${often('features')}
"query.series" = ${often('models')}
"query.model" = ${often('models')}
"query.dimension" = ${often('dimensions')}
"path.runId" = ${often('taskRuns')}
"path.id" = ${often('quarantined')}

[[operations]]
include-path-regex = "^/api/v1/nights/"
parameters = { "path.runId" = ${often('nights')} }

${MORE === undefined ? SHORT_CONFIGURATION : ''}
[[operations]]
# Which universes there are is said by the configuration, not by the document.
include-path-regex = "^/scheduler/run_"
parameters = { "query.universe" = ${always('universes')} }
`;
}

async function removeSchedules({ temporal }: ResultHouse): Promise<void> {
  for await (const { scheduleId } of temporal.client.schedule.list())
    await temporal.client.schedule.getHandle(scheduleId).delete();
}
