import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createBacktestActivities } from '../../src/activities/backtest/activities.ts';
import { type ArtifactStore, createArtifactStore } from '../../src/artifacts/store.ts';
import type { TaskStep } from '../../src/contracts/activities.ts';
import { readIssuedTrack } from '../../src/db/queries/backtests.ts';
import { openEvents } from '../../src/db/queries/events.ts';
import {
  insertPredictions,
  PROBABILITY_NAMES,
  type PredictionRow,
} from '../../src/db/queries/predictions.ts';
import type { Role } from '../../src/db/roles.ts';
import { IngestionHouse, type LeftHouse, runAs } from './ingestion-house.ts';
import { bar, ScriptedProvider } from './scripted-provider.ts';

const SESSIONS = ['2018-01-29', '2018-01-30', '2018-01-31', '2018-02-01', '2018-02-02'] as const;
const [S1, S2, S3, S4, S5] = SESSIONS;
const SYMBOLS = Array.from({ length: 24 }, (_, index) => `S${String.fromCharCode(65 + index)}`);
const WHO = { by: 'Ann', why: 'checked by phone' };
const universe = 'live';

let house: IngestionHouse;
let provider: ScriptedProvider;
let folder: string;
let artifacts: ArtifactStore;

/** A house with a source of its own: empty, or with what another one had stored when it was left. */
async function open(options: { from?: LeftHouse } = {}): Promise<void> {
  settings = { historySessions: 4 };
  provider = new ScriptedProvider('first');
  house = await IngestionHouse.open([provider], options);
  for (const [index, symbol] of SYMBOLS.entries()) {
    for (const [day, session] of SESSIONS.entries()) {
      provider.set(symbol, session, bar(20 + index + day * 0.1));
    }
  }
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nightshift-revisions-'));
  artifacts = createArtifactStore(pathToFileURL(folder).href);
});
afterEach(() => house.close());
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The clock at the nominal instant of a session's night. */
function at(sessionDate: string): void {
  house.now = new Date(Date.parse(`${sessionDate}T00:00:00Z`) + 27.75 * 3_600_000);
}

let settings: Record<string, unknown>;
function options(sessionDate: string) {
  return { universe, sessionDate, symbols: SYMBOLS, settings };
}

async function ingest(sessionDate: string): Promise<void> {
  at(sessionDate);
  await house.night(options(sessionDate));
}

/** Predictions of all members for the session after, as a scan leaves them. */
async function predict(
  sessionDate: string,
  { modelVersion = 'v1', horizonSessions = 1 }: { modelVersion?: string; horizonSessions?: number } = {},
): Promise<void> {
  const { taskRunId, universeVersion } = await house.begin(options(sessionDate));
  const header = {
    sessionDate,
    universe,
    universeVersion,
    modelVersion,
    datasetHash: 'd',
    featureSetVersion: 'f',
    labelKind: 'excess',
    horizonSessions,
    simulated: false,
    taskRunId,
  };
  const rows = SYMBOLS.map(
    (symbol, index): PredictionRow => ({
      symbol,
      probabilities: Object.fromEntries(PROBABILITY_NAMES.map((name) => [name, 0.4 + index / 100])) as never,
      metaLogit: 0,
      baseRate: 0.5,
    }),
  );
  await house.db('pipeline').sql.begin((tx) => insertPredictions(tx, { header, revision: 1, rows }));
}

async function mature(
  sessionDate: string,
  role: Role = 'pipeline',
): Promise<{ matured: number; pending: number; step: TaskStep }> {
  const step = await house.begin(options(sessionDate));
  const backtests = createBacktestActivities({ db: house.db(role), artifacts, clock: () => house.now });
  return { ...(await runAs(() => backtests.maturePredictions(step))), step };
}

const track = async (throughSession: string) =>
  await readIssuedTrack(house.db('pipeline').sql, {
    universe,
    throughSession,
    labelKind: 'excess',
    horizonSessions: 1,
  });
const returnOf = async (throughSession: string, symbol: string): Promise<number | null | undefined> =>
  (await track(throughSession)).find((row) => row.symbol === symbol)?.forwardReturn;

/** Outcome rows by version with their marks. */
async function versions() {
  return await house.sql`
    select outcome_version as version, available_session as available, invalid_from, count(*) as rows,
      count(missing_reason) as missing, min(exit_session) as exit
    from turbomode.matured_predictions group by 1, 2, 3 order by 1, 2, 3`;
}

/** Row versions: a row that was written again, even equal, makes another print. */
async function print(): Promise<unknown> {
  return await house.sql`
    select (select coalesce(sum(hashtextextended(t::text || t.xmin::text, 0))::text, '') from turbomode.matured_predictions t) as outcomes,
      (select coalesce(sum(hashtextextended(t::text || t.xmin::text, 0))::text, '') from ops.events t) as events`;
}

describe('outcomes whose bars are revised', () => {
  /** After the night whose outcomes are about to change: each test begins with a copy of it. */
  let matured: LeftHouse;
  beforeAll(async () => {
    await open();
    await ingest(S1);
    await predict(S1);
    await ingest(S2);
    expect(await mature(S2)).toMatchObject({ matured: 24, pending: 0 });
    matured = await house.leave();
  });
  afterAll(() => matured.drop());
  beforeEach(async () => {
    await open({ from: matured });
    at(S2);
  });

  it('are marked and made again beside the old ones by the next night, which past nights keep', async () => {
    const asOfS2 = await track(S2);
    provider.set('SA', S2, [20.1, 31, 19, 30, 1000]);
    await ingest(S3);
    const [event] = await openEvents(house.sql, 'bar.revised');
    expect(event).toMatchObject({ subject: 'SA', sessionDate: S2 });
    const { matured, step } = await mature(S3);
    expect(matured).toBe(24);
    // All members: an excess return is taken from the median of all.
    expect(await versions()).toEqual([
      { version: 1, available: S2, invalidFrom: S3, rows: 24, missing: 0, exit: S2 },
      { version: 2, available: S3, invalidFrom: null, rows: 24, missing: 0, exit: S2 },
    ]);
    expect(await returnOf(S3, 'SA')).toBeCloseTo(30 / 20.1 - 1, 12);
    expect(await track(S3)).toHaveLength(24);
    expect(await track(S2)).toEqual(asOfS2);
    const [reason] = await house.sql`
      select distinct invalid_reason from turbomode.matured_predictions where invalid_reason is not null`;
    expect(reason).toEqual({ invalidReason: `bar.revised SA ${S2} (event ${event?.eventId ?? 0})` });
    const handled = await house.sql`select handled_by, handled_at is not null as done from ops.events`;
    expect(handled).toEqual([{ handledBy: step.taskRunId, done: true }]);
  });

  it('the same nights again, in any order, change no row', async () => {
    provider.set('SA', S2, [20.1, 31, 19, 30, 1000]);
    await ingest(S3);
    await mature(S3);
    const before = await print();
    for (const session of [S3, S2, S3])
      expect(await mature(session)).toMatchObject({ matured: 24, pending: 0 });
    expect(await print()).toEqual(before);
  });

  it('a night without a revised bar changes nothing of the past', async () => {
    const before = await print();
    await ingest(S3);
    expect(await mature(S3)).toMatchObject({ matured: 24, pending: 0 });
    expect(await print()).toEqual(before);
  });

  it('a revision no night can know yet is not acted on', async () => {
    provider.set('SA', S2, [20.1, 31, 19, 30, 1000]);
    house.now = new Date('2026-11-20T00:00:00Z');
    await house.night(options(S3));
    const before = await print();
    await mature(S3);
    expect(await print()).toEqual(before);
    expect(await openEvents(house.sql, 'bar.revised')).toHaveLength(1);
  });

  it('a second revision, and a replay between both, keep what each night knew', async () => {
    provider.set('SA', S2, [20.1, 31, 19, 30, 1000]);
    await ingest(S3);
    await mature(S3);
    provider.set('SA', S2, [20.1, 41, 19, 40, 1000]);
    await ingest(S4);
    await mature(S4);
    expect((await versions()).map((row) => [row['version'], row['available'], row['invalidFrom']])).toEqual([
      [1, S2, S3],
      [2, S3, S4],
      [3, S4, null],
    ]);
    expect(await returnOf(S3, 'SA')).toBeCloseTo(30 / 20.1 - 1, 12);
    expect(await returnOf(S4, 'SA')).toBeCloseTo(40 / 20.1 - 1, 12);
    const before = await print();
    for (const session of [S2, S3, S4]) await mature(session);
    expect(await print()).toEqual(before);
  });

  it('a night that was left out in between finds its own outcome, not the later one', async () => {
    provider.set('SA', S2, [20.1, 31, 19, 30, 1000]);
    await ingest(S3);
    provider.set('SA', S2, [20.1, 41, 19, 40, 1000]);
    await ingest(S4);
    await mature(S4);
    await mature(S3);
    expect(await returnOf(S3, 'SA')).toBeCloseTo(30 / 20.1 - 1, 12);
    expect(await returnOf(S4, 'SA')).toBeCloseTo(40 / 20.1 - 1, 12);
  });

  it('two attempts at once act on a change once', async () => {
    provider.set('SA', S2, [20.1, 31, 19, 30, 1000]);
    await ingest(S3);
    await Promise.all([mature(S3), mature(S3)]);
    expect(await versions()).toMatchObject([
      { version: 1, rows: 24, invalidFrom: S3 },
      { version: 2, rows: 24, invalidFrom: null },
    ]);
  });

  it('a provisional bar that ends otherwise is a change too', async () => {
    await predict(S2);
    house.now = new Date(`${S3}T21:30:00Z`);
    await house.night(options(S3));
    await mature(S3);
    provider.set('SB', S3, bar(33));
    await ingest(S4);
    expect(await openEvents(house.sql, 'bar.finalized')).toMatchObject([{ subject: 'SB', sessionDate: S3 }]);
    await mature(S4);
    expect(await openEvents(house.sql, 'bar.finalized')).toEqual([]);
    const [row] = await house.sql`
      select exit_price from turbomode.matured_predictions
      where symbol = 'SB' and session_date = ${S2} and outcome_version = 2`;
    expect(row).toEqual({ exitPrice: 33 * 1.002 });
  });

  it('the role ingest cannot act on them, the role pipeline cannot change bars', async () => {
    provider.set('SA', S2, [20.1, 31, 19, 30, 1000]);
    await ingest(S3);
    await expect(mature(S3, 'ingest')).rejects.toThrow('permission denied');
    expect(await openEvents(house.sql, 'bar.revised')).toHaveLength(1);
    await expect(house.db('pipeline').sql`update market.bars set close = 1`).rejects.toThrow(
      'permission denied',
    );
  });
});

describe('history that people change', () => {
  beforeEach(() => open());

  it('a released row takes the same way: its outcome comes from the next night on', async () => {
    provider.set('SG', S2, [10, 9, 11, 10.5, 5]);
    await ingest(S1);
    await predict(S1);
    await ingest(S2);
    await mature(S2);
    const asOfS2 = await track(S2);
    // A usable bar may still come: until then its prediction is open.
    expect(await returnOf(S2, 'SG')).toBeUndefined();
    house.now = new Date(`${S3}T20:00:00Z`);
    const row = { symbol: 'SG', sessionDate: S2, provider: 'first', row: null, workflowId: 'w', ...WHO };
    await house.decisions.decideQuarantine({ ...row, decision: 'release' });
    await ingest(S3);
    await mature(S3);
    expect(await returnOf(S3, 'SG')).toBeCloseTo(10.5 / 10 - 1, 12);
    expect(await track(S2)).toEqual(asOfS2);
    expect(await openEvents(house.sql, 'bar.released')).toEqual([]);
  });

  it('a closed session moves the outcomes over it, and taking that back moves them again', async () => {
    await ingest(S1);
    await predict(S1);
    await ingest(S2);
    await predict(S2);
    await mature(S2);
    await ingest(S3);
    await mature(S3);
    const change = { sessionDate: S2, open: null, close: null, workflowId: 'w', ...WHO };
    await house.decisions.overrideSession({ ...change, change: 'closed' });
    await ingest(S4);
    await mature(S4);
    const held = (session: string) => house.sql`
      select distinct on (session_date) session_date, entry_session, exit_session, missing_reason
      from turbomode.matured_predictions
      where symbol = 'SA' and (invalid_from is null or invalid_from > ${session}) order by session_date, outcome_version desc`;
    expect(await held(S4)).toEqual([
      { sessionDate: S1, entrySession: S3, exitSession: S3, missingReason: null },
      { sessionDate: S2, entrySession: S3, exitSession: S3, missingReason: 'notASession' },
    ]);
    await house.decisions.overrideSession({ ...change, change: 'remove' });
    await ingest(S5);
    await mature(S5);
    expect(await held(S5)).toEqual([
      { sessionDate: S1, entrySession: S2, exitSession: S2, missingReason: null },
      { sessionDate: S2, entrySession: S3, exitSession: S3, missingReason: null },
    ]);
    expect(await openEvents(house.sql, 'session.changed')).toEqual([]);
    const before = await print();
    await mature(S5);
    expect(await print()).toEqual(before);
  });
});

describe('outcomes over a split', () => {
  /** As traded, SA stands at half its price from S3 on. */
  function halve(): void {
    for (const [day, session] of SESSIONS.entries()) {
      if (session >= S3) provider.set('SA', session, bar((20 + day * 0.1) / 2));
    }
  }
  let matured: LeftHouse;
  beforeAll(async () => {
    await open();
    halve();
    await ingest(S1);
    await predict(S1, { horizonSessions: 2 });
    await ingest(S2);
    // In and out on the day of the split: nothing of the day before is in it.
    await predict(S2, { modelVersion: 'v2' });
    await ingest(S3);
    await mature(S3);
    matured = await house.leave();
  });
  afterAll(() => matured.drop());
  beforeEach(async () => {
    await open({ from: matured });
    halve();
  });
  const outcomes = () => house.sql`
    select model_version as model, outcome_version as version, available_session as available, invalid_from,
      count(*) as rows, round((max(forward_return) filter (where symbol = 'SA'))::numeric, 6)::float8 as return
    from turbomode.matured_predictions group by 1, 2, 3, 4 order by 1, 2`;
  const SPLIT = { symbol: 'SA', exDate: S3, newShares: 2, oldShares: 1 };
  const without = (20.2 / 2 / 20.1) * 1.002 - 1;
  const adjusted = (20.2 / 20.1) * 1.002 - 1;
  const rounded = (value: number): number => Math.round(value * 1e6) / 1e6;

  it('that came late are made again, for those who hold over it', async () => {
    provider.splits = [SPLIT];
    await ingest(S4);
    expect(await openEvents(house.sql, 'split.revised')).toMatchObject([{ subject: 'SA', sessionDate: S3 }]);
    await mature(S4);
    expect(await outcomes()).toEqual([
      { model: 'v1', version: 1, available: S3, invalidFrom: S4, rows: 24, return: rounded(without) },
      { model: 'v1', version: 2, available: S4, invalidFrom: null, rows: 24, return: rounded(adjusted) },
      { model: 'v2', version: 1, available: S3, invalidFrom: null, rows: 24, return: rounded(0.002) },
    ]);
    expect(await openEvents(house.sql, 'split.revised')).toEqual([]);
    const [reason] = await house.sql`
      select distinct invalid_reason from turbomode.matured_predictions where invalid_reason is not null`;
    expect(reason?.['invalidReason']).toMatch(/^split\.revised SA 2018-01-31 \(event \d+\)$/);
    const before = await print();
    for (const session of [S3, S4, S3]) await mature(session);
    expect(await print()).toEqual(before);
  });

  it('that a person releases take the same way', async () => {
    // Announced with the wrong ratio: prices do not show it.
    provider.splits = [{ ...SPLIT, newShares: 4 }];
    await ingest(S3);
    await mature(S3);
    house.now = new Date(`${S4}T20:00:00Z`);
    const row = { symbol: 'SA', sessionDate: S3, subject: 'split 4:1', provider: 'first', row: null };
    await house.decisions.decideQuarantine({ ...row, ...WHO, decision: 'release', workflowId: 'w' });
    await ingest(S4);
    await mature(S4);
    const quartered = (20.2 / 2 / (20.1 / 4)) * 1.002 - 1;
    expect(await outcomes()).toMatchObject([
      { model: 'v1', version: 1, available: S3, invalidFrom: S4, return: rounded(without) },
      { model: 'v1', version: 2, available: S4, invalidFrom: null, return: rounded(quartered) },
      { model: 'v2', version: 1, invalidFrom: null },
    ]);
    const before = await print();
    for (const session of [S3, S4]) await mature(session);
    expect(await print()).toEqual(before);
  });
});

describe('outcomes of a symbol that was held', () => {
  beforeEach(() => open());

  it('are made for all members again once a person says that it is the same company', async () => {
    settings = { historySessions: 8, data: { maxGapSessions: 2 } };
    provider.set('SB', '2018-01-23', bar(21));
    await ingest(S1);
    const row = {
      symbol: 'SB',
      sessionDate: S1,
      subject: 'gap',
      provider: 'first',
      row: null,
      workflowId: 'w',
    };
    await predict(S1);
    await ingest(S2);
    await mature(S2);
    house.now = new Date(`${S3}T20:00:00Z`);
    await house.decisions.decideQuarantine({ ...row, ...WHO, decision: 'release' });
    await ingest(S3);
    await mature(S3);
    expect(await openEvents(house.sql, 'gap.decided')).toEqual([]);
    expect(await versions()).toEqual([
      { version: 1, available: S2, invalidFrom: S3, rows: 24, missing: 1, exit: S2 },
      { version: 2, available: S3, invalidFrom: null, rows: 24, missing: 0, exit: S2 },
    ]);
    expect(await returnOf(S2, 'SB')).toBeNull();
    expect(await returnOf(S3, 'SB')).toBeCloseTo(0.002, 12);
    const before = await print();
    for (const session of [S2, S3]) await mature(session);
    expect(await print()).toEqual(before);
  });
});
