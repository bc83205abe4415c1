import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openEvents } from '../../src/db/queries/events.ts';
import type { LeftHouse } from './ingestion-house.ts';
import {
  SESSIONS,
  WHO,
  at,
  house,
  ingest,
  mature,
  open,
  options,
  predict,
  print,
  provider,
  returnOf,
  track,
  useOutcomeNights,
  versions,
} from './outcome-nights.ts';
import { bar } from './scripted-provider.ts';

const [S1, S2, S3, S4, S5] = SESSIONS;
useOutcomeNights();

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
