import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openEvents } from '../../src/db/queries/events.ts';
import type { LeftHouse } from './ingestion-house.ts';
import {
  SESSIONS,
  WHO,
  house,
  ingest,
  mature,
  open,
  predict,
  print,
  provider,
  returnOf,
  useOutcomeNights,
  versions,
} from './outcome-nights.ts';
import { bar } from './scripted-provider.ts';

const [S1, S2, S3, S4] = SESSIONS;
useOutcomeNights();

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
  it('are made for all members again once a person says that it is the same company', async () => {
    await open({ settings: { historySessions: 8, data: { maxGapSessions: 2 } } });
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
