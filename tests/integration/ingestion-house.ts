import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Info } from '@temporalio/activity';
import { DefaultLogger } from '@temporalio/worker';
import { MockActivityEnvironment } from '@temporalio/testing';
import { createDecisionActivities } from '../../src/activities/decisions/activities.ts';
import { createIngestionActivities } from '../../src/activities/ingestion/activities.ts';
import type { DecisionActivities } from '../../src/contracts/decisions.ts';
import type { IngestionActivities, TaskResult, TaskStep } from '../../src/contracts/activities.ts';
import { configHash, effectiveConfig, parseConfigFile } from '../../src/contracts/schemas/config.ts';
import { createDatabase, type Database } from '../../src/db/client.ts';
import { finishAttempt } from '../../src/db/queries/attempts.ts';
import { insertConfig } from '../../src/db/queries/configs.ts';
import { storeSessions } from '../../src/db/queries/sessions.ts';
import { insertUniverseList } from '../../src/db/queries/universes.ts';
import type { Role } from '../../src/db/roles.ts';
import { membersAsOf, universeVersionOf } from '../../src/domain/universe.ts';
import { readSessionTable, XNYS_CALENDAR_FILE } from '../../src/providers/calendar-file.ts';
import { createProviderChain } from '../../src/providers/chain.ts';
import type { MarketDataProvider } from '../../src/providers/port.ts';
import { readUniverse, UNIVERSES_FOLDER } from '../../src/providers/universe-file.ts';
import { projectRoot } from '../../scripts/lib/paths.mjs';
import { createTestDatabase, type TestDatabase, uniqueName } from '../support/env.ts';
import { beginStep, newTaskRun } from '../support/rows.ts';
import { sharedArchive } from '../support/sample-archive.ts';

/** One archive for all tests of a file: its files are decoded once. */
export const sampleArchive = sharedArchive(join(projectRoot, 'data/sample'));
const sessions = () => readSessionTable(join(projectRoot, XNYS_CALENDAR_FILE));

export type NightOptions = {
  universe: string;
  sessionDate: string;
  settings?: Record<string, unknown>;
  /** Members; absent: a bundled universe. */
  symbols?: readonly string[];
  /** What batches are told of their attempt. */
  info?: Partial<Info>;
};

/** The database of a house nobody lives in: tests copy it instead of doing the same nights again. */
export type LeftHouse = { database: string; drop(): Promise<void> };

/** Tables whose rows a re-run must not touch. */
const MARKET_TABLES = [
  'bars',
  'bar_revisions',
  'bar_flags',
  'bar_sources',
  'quarantine',
  'gaps',
  'splits',
  'dividends',
  'fundamentals',
  'split_revisions',
  'dividend_revisions',
  'fundamental_revisions',
  'instruments',
  'sessions',
  'universes',
  'validation_state',
];

/** A database of its own with ingestion as a worker composes it, activities run by hand. */
export class IngestionHouse {
  readonly #database: TestDatabase;
  readonly #open = new Map<Role | 'owner', Database>();
  readonly activities: IngestionActivities;
  readonly decisions: DecisionActivities;
  /** The wall clock of the activities. */
  now = new Date('2026-11-22T00:00:00Z');

  private constructor(database: TestDatabase, providers: readonly MarketDataProvider[]) {
    this.#database = database;
    const clock = () => this.now;
    this.decisions = createDecisionActivities({ db: this.db('ingest'), sessions, clock });
    this.activities = createIngestionActivities({
      db: this.db('ingest'),
      provider: () => createProviderChain({ providers }),
      sessions,
      readUniverse: (name) =>
        readUniverse({ nameOrFile: name, bundledFolder: join(projectRoot, UNIVERSES_FOLDER) }),
      clock,
    });
  }

  /** `from`: begins with a copy of what a house had stored when it was left. */
  static async open(
    providers: readonly MarketDataProvider[] = [sampleArchive],
    options: { from?: LeftHouse } = {},
  ): Promise<IngestionHouse> {
    return new IngestionHouse(await createTestDatabase(options.from?.database), providers);
  }

  /** One that knows the calendar, as each does from its first night on, and nothing else. */
  static async withCalendar(): Promise<LeftHouse> {
    const house = await IngestionHouse.open();
    const table = await sessions();
    await house.db('ingest').sql.begin((tx) => storeSessions(tx, table));
    return await house.leave();
  }

  /** Ends its connections; its database stays, for others to begin with. */
  async leave(): Promise<LeftHouse> {
    await this.#disconnect();
    return { database: this.#database.name, drop: () => this.#database.drop() };
  }

  db(role: Role | 'owner'): Database {
    const known = this.#open.get(role) ?? createDatabase(this.#database.urls[role], { max: 4 });
    this.#open.set(role, known);
    return known;
  }

  get sql(): Database['sql'] {
    return this.db('owner').sql;
  }

  /** A task run of ingestion whose first attempt has begun. */
  async begin(options: NightOptions): Promise<TaskStep> {
    const { universe, sessionDate } = options;
    const { sql } = this.db('pipeline');
    const file = parseConfigFile({
      scheduled_tasks: [{ task_id: 1 }],
      nightshift: { universes: { [universe]: options.settings ?? {} } },
    });
    const config = effectiveConfig(file, universe);
    await insertConfig(sql, { configHash: configHash(config), body: config });
    const members = options.symbols ?? (await bundledMembers(universe, sessionDate));
    const universeVersion = universeVersionOf(members);
    if (options.symbols !== undefined) {
      await insertUniverseList(sql, {
        universe,
        version: universeVersion,
        members: [...members],
        survivorship: 'unknown',
      });
    }
    const { maxAttempts, timeoutMs } = config.tasks.ingestion;
    const run = newTaskRun({
      taskRunId: uniqueName('ingestion'),
      task: 'ingestion',
      sessionDate,
      universe,
      universeVersion,
      maxAttempts,
      timeoutMs,
      configHash: configHash(config),
    });
    return await beginStep({ sql, run, workflowId: `ingestion/${sessionDate}` });
  }

  /** The whole task as the workflow runs it. */
  async night(options: NightOptions): Promise<TaskResult> {
    const step = await this.begin(options);
    const plan = await runAs(() => this.activities.planIngestion(step));
    const { info = {} } = options;
    for (const batch of plan.batches) {
      await runAs(() => this.activities.ingestBatch({ ...step, batch }), { info });
    }
    const result = await runAs(() => this.activities.finishIngestion(step));
    await finishAttempt(this.db('pipeline').sql, {
      fence: step.fence,
      end: 'succeeded',
      failure: null,
      result,
    });
    return result;
  }

  /** Row versions of the master data: each write makes another one, by another transaction and in another place. */
  async fingerprint(): Promise<Record<string, string>> {
    const prints: Record<string, string> = {};
    for (const table of MARKET_TABLES) {
      const [row] = await this.sql.unsafe<{ print: string }[]>(
        `select count(*) || ':' || coalesce(sum(hashtextextended(t.ctid::text || t.xmin::text, 0))::text, '') as print
         from market.${table} t`,
      );
      prints[table] = row?.print ?? '';
    }
    return prints;
  }

  async close(): Promise<void> {
    await this.#disconnect();
    await this.#database.drop();
  }

  async #disconnect(): Promise<void> {
    await Promise.all([...this.#open.values()].map((one) => one.close()));
    this.#open.clear();
  }
}

/** Runs an activity as a worker would. */
export async function runAs<T>(
  activity: () => Promise<T>,
  options: { info?: Partial<Info>; heartbeats?: unknown[]; cancelAfter?: Promise<void> } = {},
): Promise<T> {
  // Expected failures would fill the output otherwise.
  const environment = new MockActivityEnvironment(options.info ?? {}, { logger: new DefaultLogger('ERROR') });
  environment.on('heartbeat', (details: unknown) => options.heartbeats?.push(details));
  void options.cancelAfter?.then(() => environment.cancel('CANCELLED'));
  return await environment.run(activity);
}

async function bundledMembers(universe: string, session: string): Promise<readonly string[]> {
  const { symbols } = await readUniverse({
    nameOrFile: universe,
    bundledFolder: join(projectRoot, UNIVERSES_FOLDER),
  });
  const instruments = await sampleArchive.instruments({ symbols, asOfSession: session });
  const firstSessions = new Map(
    instruments.flatMap((result) => (result.ok ? [[result.symbol, result.value.firstSession] as const] : [])),
  );
  return membersAsOf({ symbols, firstSessions, session });
}

/** Hash of numbers, for comparing what two nights read. */
export function hashOf(...columns: readonly ArrayBufferView[]): string {
  const hash = createHash('sha256');
  for (const column of columns) {
    hash.update(new Uint8Array(column.buffer, column.byteOffset, column.byteLength));
  }
  return hash.digest('hex');
}
