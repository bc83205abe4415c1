import { describe, expect, it } from 'vitest';
import { S1, S2, S3, S4, SYMBOLS, UNIVERSE, useLiveMarket } from './live-market.ts';
import { bar } from './scripted-provider.ts';

const live = useLiveMarket();
const FRIDAY = '2018-01-26';
const SATURDAY = '2018-01-27';
const WHO = { by: 'Ann', why: 'no trading', workflowId: 'calendar/test' };

/** A night with so many sessions of history, of which it asks the newest two stored ones again. */
async function night(sessionDate: string, historySessions = 4) {
  live.at(sessionDate);
  const settings = { historySessions, ingestion: { overlapSessions: 2 } };
  return await live.house.night({ universe: UNIVERSE, sessionDate, symbols: SYMBOLS, settings });
}

async function override(sessionDate: string, change: 'closed' | 'remove'): Promise<void> {
  await live.house.decisions.overrideSession({ sessionDate, change, open: null, close: null, ...WHO });
}

const lastRange = () => live.provider.requests.filter(({ symbols }) => symbols.includes('SA')).at(-1);

function takeOut(sessionDate: string): void {
  for (const symbol of SYMBOLS) live.provider.set(symbol, sessionDate, null);
}

describe('an unscheduled closure', () => {
  it('stops its own night, and once it is in the calendar no later one', async () => {
    takeOut(S2);
    await night(S1);
    await expect(night(S2)).rejects.toMatchObject({
      type: 'CoverageTooLow',
      message: expect.stringContaining('then add a calendar override') as string,
    });
    await override(S2, 'closed');
    const coverage = { members: 24, withBar: 24, missingSessions: 0 };
    expect(await night(S3)).toMatchObject({ failed: 0, rowsInserted: 24, totalCandles: 96, coverage });
    // The two sessions before it that there were.
    expect(lastRange()).toMatchObject({ from: FRIDAY, to: S3 });
    expect(await night(S4)).toMatchObject({ failed: 0, rowsInserted: 24, coverage });
    expect(lastRange()).toMatchObject({ from: S1, to: S4 });
    const print = await live.house.fingerprint();
    expect(await night(S3)).toMatchObject({ rowsChanged: 0, coverage: { missingSessions: 0 } });
    expect(await live.house.fingerprint()).toEqual(print);
  });

  it('does not hide a session nobody has asked for yet', async () => {
    takeOut(S2);
    await night(S1, 2);
    await expect(night(S2, 2)).rejects.toMatchObject({ type: 'CoverageTooLow' });
    await override(S2, 'closed');
    // A longer history than before: one session more at its start.
    expect(await night(S3, 4)).toMatchObject({ rowsInserted: 48, totalCandles: 96 });
    expect(lastRange()).toMatchObject({ from: '2018-01-25', to: S3 });
  });

  it('may be found out after its night, with bars stored for it', async () => {
    await night(S1);
    await night(S2);
    takeOut(S2);
    await override(S2, 'closed');
    expect(await night(S3)).toMatchObject({
      failed: 0,
      rowsInserted: 24,
      totalCandles: 96,
      coverage: { fromSession: '2018-01-25', withBar: 24, missingSessions: 0 },
    });
    expect(lastRange()).toMatchObject({ from: FRIDAY, to: S3 });
    await override(S2, 'remove');
    expect(await night(S4)).toMatchObject({ failed: 0, rowsInserted: 24, totalCandles: 96 });
    expect(lastRange()).toMatchObject({ from: S2, to: S4 });
  });
});

it('a session that was added and taken back stops no night', async () => {
  const added = { sessionDate: SATURDAY, change: 'hours', open: '09:30', close: '12:00', ...WHO } as const;
  await live.house.decisions.overrideSession(added);
  for (const [index, symbol] of SYMBOLS.entries()) live.provider.set(symbol, SATURDAY, bar(20 + index));
  expect(await night(SATURDAY)).toMatchObject({ coverage: { withBar: 24 } });
  takeOut(SATURDAY);
  await override(SATURDAY, 'remove');
  expect(await night(S1)).toMatchObject({ failed: 0, rowsInserted: 24, coverage: { withBar: 24 } });
  expect(lastRange()).toMatchObject({ from: '2018-01-25', to: S1 });
});
