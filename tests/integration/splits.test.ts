import { describe, expect, it } from 'vitest';
import { openEvents } from '../../src/db/queries/events.ts';
import { readSymbolOutcomes } from '../../src/db/queries/symbol-outcomes.ts';
import { AS_TRADED } from '../../src/domain/bars.ts';
import type { SplitAction } from '../../src/domain/market-data.ts';
import { S1, S2, S3, S4, useLiveMarket } from './live-market.ts';
import type { Row } from './scripted-provider.ts';

const live = useLiveMarket();
const SYMBOL = 'SF';
const split = (newShares: number, exDate = S3): SplitAction => ({
  symbol: SYMBOL,
  exDate,
  newShares,
  oldShares: 1,
});

/** As-traded prices that fall to `1 / factor` with S3, and a split that the first source reports. */
function announce(input: { factor: number; splits: SplitAction[]; second: SplitAction[] }): void {
  live.provider.basis = AS_TRADED;
  live.fallback.basis = AS_TRADED;
  live.settings = { historySessions: 6 };
  live.provider.splits = input.splits;
  live.fallback.splits = input.second;
  for (const [session, row] of live.provider.rows.get(SYMBOL) ?? []) {
    if (session < S3) continue;
    const [open, high, low, close] = row.map((value) => value / input.factor);
    const moved: Row = [open ?? 0, high ?? 0, low ?? 0, close ?? 0, row[4]];
    live.provider.set(SYMBOL, session, moved);
  }
}

const reviews = () => live.house.sql`
  select symbol, session_date, subject, codes, status, decided_by, decision_reason from market.quarantine
  order by subject`;
const question = { symbol: SYMBOL, sessionDate: S3, subject: 'split 2:1' };
/** Closes of S1, S2 and S3 as stored: as traded, none adjusted. */
const asTraded = (factor: number): number[] => [25.2, 25.3, 25.4 / factor].map((price) => price * 1.002);
const closesOf = async (night: string): Promise<number[]> => {
  const closes = await live.adjusted(SYMBOL, night);
  return [S1, S2, S3].flatMap((session) => closes.get(session) ?? []);
};
const expectCloses = (closes: readonly number[], expected: readonly number[]): void => {
  expect(closes.map((close) => Math.round(close * 1e6))).toEqual(
    expected.map((close) => Math.round(close * 1e6)),
  );
};

describe('a reported split', () => {
  it('that prices show and a second source reports is applied from its date on, and nobody is asked', async () => {
    announce({ factor: 2, splits: [split(2)], second: [split(2)] });
    await live.night(S2);
    expectCloses(await closesOf(S2), asTraded(2).slice(0, 2));
    expect(await live.night(S3)).toMatchObject({ failed: 0, reviewsOpen: 0, reviews: [] });
    const [first = 0, second = 0, third = 0] = asTraded(2);
    expectCloses(await closesOf(S3), [first / 2, second / 2, third]);
    expectCloses(await closesOf(S2), [first, second]);
    const stored = await live.house.sql`select provider, asked, confirmed_by from market.splits`;
    expect(stored).toEqual([{ provider: 'first', asked: ['second'], confirmedBy: ['second'] }]);
    expect(await reviews()).toEqual([]);
  });

  it('that prices do not show is not applied, is told in words, and waits for a person', async () => {
    announce({ factor: 1, splits: [split(2)], second: [split(2)] });
    await live.night(S2);
    const result = await live.night(S3);
    const words =
      'split 2:1 of SF on 2018-01-31: the price was expected to be divided by 2; it went from 25.3506 ' +
      '(close of 2018-01-30) to 25.4 (open of 2018-01-31), divided by 0.998055';
    expect(result).toMatchObject({
      failed: 0,
      reviewsOpen: 1,
      reviews: [{ symbol: SYMBOL, sessionDate: S3, subject: 'split 2:1', reason: words }],
      // It is no bar: the counts of rows do not know it.
      quarantined: 0,
    });
    expect(await reviews()).toMatchObject([
      { subject: 'split 2:1', codes: ['splitNotInPrices'], status: 'pending', decidedBy: null },
    ]);
    const events = await live.house.sql`
      select subject, session_date, details from ops.events where kind = 'split.unconfirmed'`;
    expect(events).toMatchObject([{ subject: SYMBOL, sessionDate: S3, details: { words } }]);
    expectCloses(await closesOf(S3), asTraded(1));
    const print = await live.house.fingerprint();
    expect(await live.night(S3)).toMatchObject({ rowsChanged: 0, reviewsOpen: 1 });
    expect(await live.house.fingerprint()).toEqual(print);
    expect(await live.house.sql`select 1 from ops.events where kind = 'split.unconfirmed'`).toHaveLength(1);

    live.house.now = new Date(`${S4}T20:00:00Z`);
    const answer = { ...question, why: 'the exchange says so' };
    await live.decide({ ...answer, decision: 'release' });
    expect(await live.decide({ ...answer, decision: 'release', by: 'Bob' })).toMatchObject({
      decidedBy: 'Ann',
    });
    await expect(live.decide({ ...answer, decision: 'reject' })).rejects.toMatchObject({
      type: 'AlreadyDecided',
    });
    expect(await openEvents(live.house.sql, 'split.released')).toMatchObject([
      { subject: SYMBOL, sessionDate: S3, details: { availableAt: `${S4}T20:00:00.000Z`, by: 'Ann' } },
    ]);
    expect(await live.night(S4)).toMatchObject({ reviewsOpen: 0 });
    const [first = 0, second = 0, third = 0] = asTraded(1);
    expectCloses(await closesOf(S4), [first / 2, second / 2, third]);
    // The night before the decision knows nothing of it.
    expectCloses(await closesOf(S3), asTraded(1));
  });

  it('that a person rejected stays out', async () => {
    announce({ factor: 1, splits: [split(2)], second: [split(2)] });
    await live.night(S3);
    await live.decide({ ...question, decision: 'reject', why: 'a typing error' });
    expect(await live.night(S4)).toMatchObject({ reviewsOpen: 0 });
    expectCloses(await closesOf(S4), asTraded(1));
    expect(await openEvents(live.house.sql, 'split.released')).toEqual([]);
    const [audit] = await live.house.sql`select actor, action, subject from ops.audit`;
    expect(audit).toEqual({
      actor: 'Ann',
      action: 'quarantine.rejected',
      subject: `SF ${S3} split 2:1 first+second`,
    });
  });

  it('of only one source waits for the second one, and nights before that do not have it', async () => {
    announce({ factor: 2, splits: [split(2)], second: [] });
    await live.night(S2);
    const result = await live.night(S3);
    expect(result['reviews']).toMatchObject([
      {
        reason: expect.stringContaining(
          'its ratio needs a second source, and second does not report it',
        ) as string,
      },
    ]);
    expectCloses(await closesOf(S3), asTraded(2));
    live.fallback.splits = [split(2)];
    expect(await live.night(S4)).toMatchObject({ reviewsOpen: 0 });
    const [first = 0, second = 0, third = 0] = asTraded(2);
    expectCloses(await closesOf(S4), [first / 2, second / 2, third]);
    expectCloses(await closesOf(S3), asTraded(2));
    expect(await reviews()).toMatchObject([
      { subject: 'split 2:1', codes: ['splitOneSource'], status: 'rejected', decidedBy: 'ingestion' },
    ]);
    const kept = await live.house.sql`
      select revision, asked, confirmed_by, available_on, superseded_on from market.split_revisions`;
    expect(kept).toEqual([
      { revision: 0, asked: ['second'], confirmedBy: [], availableOn: S3, supersededOn: S4 },
    ]);
    const print = await live.house.fingerprint();
    await live.night(S4);
    // A replay of the older night leaves what the newer one found.
    await live.night(S3);
    expect(await live.house.fingerprint()).toEqual(print);
  });

  it('that is corrected is another version: each night applies the one it knew', async () => {
    announce({ factor: 3, splits: [split(2)], second: [split(2), split(3)] });
    await live.night(S2);
    expect(await live.night(S3)).toMatchObject({ reviewsOpen: 1 });
    live.provider.splits = [split(3)];
    expect(await live.night(S4)).toMatchObject({ reviewsOpen: 0 });
    const [first = 0, second = 0, third = 0] = asTraded(3);
    expectCloses(await closesOf(S4), [first / 3, second / 3, third]);
    expectCloses(await closesOf(S3), asTraded(3));
    expect(await openEvents(live.house.sql, 'split.revised')).toMatchObject([
      { subject: SYMBOL, sessionDate: S3, details: { before: { new_shares: 2 }, after: { new_shares: 3 } } },
    ]);
  });

  it('that came after its date is known from then on', async () => {
    announce({ factor: 2, splits: [], second: [split(2)] });
    await live.night(S2);
    await live.night(S3);
    live.provider.splits = [split(2)];
    await live.night(S4);
    expectCloses(await closesOf(S3), asTraded(2));
    const [first = 0, second = 0, third = 0] = asTraded(2);
    expectCloses(await closesOf(S4), [first / 2, second / 2, third]);
    expect(await openEvents(live.house.sql, 'split.revised')).toMatchObject([
      { subject: SYMBOL, details: { before: null } },
    ]);
  });

  it('that came twice is one, of two ratios the one that prices show, and the outcome says so', async () => {
    announce({ factor: 2, splits: [split(5), split(2), split(2)], second: [split(2)] });
    await live.night(S2);
    const result = await live.night(S3);
    expect(result).toMatchObject({ failed: 0, reviewsOpen: 0 });
    expect(await live.house.sql`select new_shares from market.splits`).toEqual([{ newShares: 2 }]);
    const [run] = await live.house.sql<{ id: string }[]>`
      select task_run_id as id from ops.task_runs where session_date = ${S3}`;
    const [outcome] = await readSymbolOutcomes(live.house.sql, {
      taskRunId: run?.id ?? '',
      symbols: [SYMBOL],
    });
    expect(outcome?.details).toEqual({
      referenceErrors: [`splits of ${S3}: 5:1 and 2:1; 2:1 is kept`],
    });
  });

  it('that prices of a newer basis do not hold neither stops the symbol nor moves its history', async () => {
    live.settings = { historySessions: 6 };
    await live.night(S2);
    live.provider.splits = [split(2)];
    live.fallback.splits = [split(2)];
    live.provider.basis = { ...live.provider.basis, asOf: S3 };
    const result = await live.night(S3);
    expect(result).toMatchObject({ failed: 0, rowsRevised: 0, rowsInserted: 24, reviewsOpen: 1 });
    expectCloses(await closesOf(S3), asTraded(1));
  });
});
