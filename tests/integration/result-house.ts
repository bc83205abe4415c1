import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, expect } from 'vitest';
import { projectRoot } from '../../scripts/lib/paths.mjs';
import { createBacktestActivities } from '../../src/activities/backtest/activities.ts';
import { createDriftActivities } from '../../src/activities/drift/activities.ts';
import { createApi } from '../../src/api/app.ts';
import { API_TIMES, type ApiDeps } from '../../src/api/deps.ts';
import { type ApiRole, newApiToken } from '../../src/contracts/api-tokens.ts';
import type { RunReport } from '../../src/contracts/schemas/report.ts';
import type { Task } from '../../src/contracts/wire/names.ts';
import { findApiToken, insertApiToken } from '../../src/db/queries/api-tokens.ts';
import { claimNight, setNightState } from '../../src/db/queries/nights.ts';
import { readNightReport } from '../../src/db/queries/report.ts';
import { type MlBridge, startMlBridge } from '../support/ml-bridge.ts';
import { type Rig, useRig } from '../support/rig.ts';
import { newNight } from '../support/rows.ts';
import { TaskNight } from '../support/task-night.ts';
import { runActivity, TaskRig } from '../support/task-rig.ts';
import { QUICK_SETTINGS } from '../support/task-settings.ts';

/** The night, and the session after it, whose data came in and gave its predictions their outcome. */
export const S = '2018-01-29';
export const NEXT = '2018-01-30';
export const UNIVERSE = 'tiny';

type Answer = { status: number; type: string; text: string; body: unknown };
type Asked = { method?: string; as?: ApiRole; accept?: string; body?: unknown };
export type Page<Item> = { items: Item[]; nextPageToken: string | null };

export type ResultHouse = {
  readonly rig: TaskRig;
  readonly temporal: Rig;
  readonly report: RunReport;
  readonly logDir: string;
  /** What its API is made of. */
  readonly deps: ApiDeps;
  readonly token: (role: ApiRole) => string;
  /** Of a task of the night. */
  resultOf(task: Task): Record<string, unknown>;
  ask(path: string, init?: Asked): Promise<Answer>;
  /** A 200, checked against what the OpenAPI document promises. */
  get<Body>(path: string): Promise<Body>;
  /** All items of a list in pages of `limit`. */
  pages<Item>(path: string, limit: number): Promise<Item[]>;
  /** A list in pages, as NDJSON and as CSV: the same items, each once. */
  everywhere<Item>(path: string, limit: number): Promise<Item[]>;
};

/** One real night of `tiny` with its report, and the API over its rows. */
export function useResults(): ResultHouse {
  const rigs = useRig({ decisions: true });
  const tokens = new Map<ApiRole, string>();
  let rig: TaskRig;
  let ml: MlBridge;
  let logDir: string;
  let report: RunReport;
  let deps: ApiDeps;
  let api: ReturnType<typeof createApi>;
  let promises: ApiPromises | undefined;

  beforeAll(async () => {
    logDir = await mkdtemp(join(tmpdir(), 'nightshift-api-logs-'));
    rig = await TaskRig.start({ settings: QUICK_SETTINGS });
    ml = startMlBridge(rig.artifacts.url);
    report = await makeNight(rig, ml);
    deps = {
      sql: rig.db('api').sql,
      findToken: (tokenId) => findApiToken(rig.db('api').sql, tokenId),
      times: API_TIMES,
      pipelineSql: rig.db('pipeline').sql,
      client: rigs.current.client,
      log: (level, message, fields) => {
        if (level === 'ERROR') console.error(message, fields);
      },
      configPath: join(projectRoot, 'config', 'scheduler_config.json'),
      logDir,
      limits: { tokenPerMinute: 10_000, anonymousPerMinute: 100 },
    };
    api = createApi(deps);
    for (const role of ['viewer', 'operator', 'admin'] as const) {
      const { tokenId, secretHash, text } = newApiToken();
      const token = { tokenId, name: `the ${role}`, role, secretHash, createdBy: 'Ann' };
      await insertApiToken(rig.db('api').sql, token);
      tokens.set(role, text);
    }
  }, 300_000);
  afterAll(async () => {
    await ml.stop();
    await rig.stop();
    await rm(logDir, { recursive: true, force: true });
  });

  const tokenOf = (role: ApiRole): string => tokens.get(role) ?? '';
  const ask = async (path: string, init: Asked = {}): Promise<Answer> => {
    const { method = 'GET', as = 'viewer', accept = 'application/json', body } = init;
    const response = await api.request(path, {
      method,
      headers: {
        accept,
        authorization: `Bearer ${tokenOf(as)}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const [text, type] = [await response.text(), response.headers.get('content-type') ?? ''];
    const isJson = /^application\/(problem\+)?json/.test(type);
    return { status: response.status, type, text, body: isJson ? (JSON.parse(text) as unknown) : null };
  };
  const get = async <Body>(path: string): Promise<Body> => {
    const answer = await ask(path);
    expect(answer.status, `${path}: ${answer.text.slice(0, 500)}`).toBe(200);
    promises ??= new ApiPromises((await ask('/openapi.json')).body as ApiDocument);
    expect(promises.broken(path, answer.body), path).toBeNull();
    return answer.body as Body;
  };
  const pages = async <Item>(path: string, limit: number): Promise<Item[]> => {
    const items: Item[] = [];
    let token: string | null = null;
    do {
      const query: string = token === null ? '' : `&pageToken=${token}`;
      const page: Page<Item> = await get(`${path}${path.includes('?') ? '&' : '?'}limit=${limit}${query}`);
      expect(page.items.length).toBeLessThanOrEqual(limit);
      items.push(...page.items);
      token = page.nextPageToken;
    } while (token !== null);
    return items;
  };
  return {
    get rig() {
      return rig;
    },
    get temporal() {
      return rigs.current;
    },
    get report() {
      return report;
    },
    get logDir() {
      return logDir;
    },
    get deps() {
      return deps;
    },
    token: tokenOf,
    resultOf: (task) => report.tasks.find((one) => one.task === task)?.result ?? {},
    ask,
    get,
    pages,
    everywhere: async <Item>(path: string, limit: number): Promise<Item[]> => {
      const paged = await pages<Item>(path, limit);
      const stream = await ask(path, { accept: 'application/x-ndjson' });
      expect(stream.type).toBe('application/x-ndjson; charset=utf-8');
      const lines = stream.text.split('\n').filter((line) => line !== '');
      expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual(paged);
      const csv = await ask(`${path}${path.includes('?') ? '&' : '?'}format=csv`);
      expect(csv.type).toBe('text/csv; charset=utf-8');
      expect(csv.text.split('\r\n').filter((line) => line !== '')).toHaveLength(paged.length + 1);
      return paged;
    },
  };
}

type ApiDocument = { paths: Record<string, unknown> };

/** What the OpenAPI document says about answers. */
class ApiPromises {
  readonly #ajv = new Ajv2020({ strict: false, validateFormats: false });
  readonly #paths: string[];

  constructor(document: ApiDocument) {
    this.#ajv.addSchema(document, 'api');
    // What is named goes before what is a parameter.
    this.#paths = Object.keys(document.paths).toSorted((a, b) => a.split('{').length - b.split('{').length);
  }

  /** What of an answer is not as promised; null where all is. */
  broken(path: string, body: unknown): unknown {
    const asked = path.split('?')[0] ?? '';
    const template = this.#paths.find((one) => {
      const pattern = one.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+');
      return new RegExp(`^${pattern}$`).test(asked);
    });
    const part = (text: string): string =>
      encodeURIComponent(text.replaceAll('~', '~0').replaceAll('/', '~1'));
    const place = `${part(template ?? 'none')}/get/responses/200/content/${part('application/json')}`;
    const validate = this.#ajv.compile({ $ref: `api#/paths/${place}/schema` });
    return validate(body) ? null : validate.errors;
  }
}

/** The steps of one night in the order of its workflows, its report, then the outcome of its predictions. */
async function makeNight(rig: TaskRig, ml: MlBridge): Promise<RunReport> {
  const night = new TaskNight(rig, ml);
  const universeVersion = await night.ingest(S);
  await night.train(S, universeVersion);
  await night.scan(S, universeVersion);
  await night.backtest(S, universeVersion);
  const drift = await rig.begin({ task: 'driftMonitoring', sessionDate: S, universeVersion });
  const { result } = await runActivity(createDriftActivities(rig.deps()), 'runDrift', drift);
  await rig.finish(drift, result);
  const { sql } = rig.db('pipeline');
  const row = newNight({ sessionDate: S, universe: UNIVERSE, universeVersion, configHash: rig.configHash });
  await claimNight(sql, row);
  await rig.db('owner').sql`
    update ops.task_runs set night_workflow_id = ${row.workflowId}, night_run_id = ${row.runId}`;
  await setNightState(sql, { ...row, state: 'succeeded', reason: null });
  const report = await readNightReport(rig.db('api').sql, row);
  if (report === null) throw new Error('the night has no report');
  await night.ingest(NEXT);
  const step = await rig.begin({ task: 'backtest', sessionDate: NEXT, universeVersion });
  await runActivity(createBacktestActivities(rig.deps()), 'maturePredictions', step);
  return report;
}
