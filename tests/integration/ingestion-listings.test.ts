import { expect, it } from 'vitest';
import { S1, S2, S3, SYMBOLS, useLiveMarket } from './live-market.ts';

const live = useLiveMarket();
const SATURDAY = '2018-01-27';

it('an instrument that begins on no session of the calendar fails neither itself nor its batch', async () => {
  live.settings = { historySessions: 6 };
  for (const symbol of SYMBOLS) live.provider.firstSessions.set(symbol, '1962-01-02');
  live.provider.firstSessions.set('SA', SATURDAY);
  for (const session of ['2018-01-25', '2018-01-26']) live.provider.set('SA', session, null);
  // Not there yet, and after the end of the calendar.
  live.provider.firstSessions.set('SB', '2018-02-03');
  live.provider.firstSessions.set('SC', '2077-01-02');
  await live.night(S1);
  expect(await live.night(S2)).toMatchObject({ failed: 0, rowsInserted: 22, totalSymbols: 24 });
  // By now the source takes the bars there are for another company's.
  live.provider.firstSessions.set('SD', '2018-02-03');
  expect(await live.night(S3)).toMatchObject({ failed: 0, rowsInserted: 21, totalSymbols: 24 });
  expect(live.provider.requests.filter(({ from, to }) => from > to)).toEqual([]);
  const outcomes = await live.house.sql`
    select symbol, status, first_session, missing_sessions from ops.symbol_outcomes
    where task_run_id = (select task_run_id from ops.task_runs order by created_at desc limit 1)
      and symbol in ('SA', 'SB', 'SC') order by symbol`;
  expect(outcomes).toEqual([
    { symbol: 'SA', status: 'ok', firstSession: S1, missingSessions: 0 },
    { symbol: 'SB', status: 'ok', firstSession: null, missingSessions: 0 },
    { symbol: 'SC', status: 'ok', firstSession: null, missingSessions: 0 },
  ]);
  const [gaps] = await live.house.sql`select count(*) from market.gaps where symbol in ('SA', 'SB', 'SC')`;
  expect(gaps).toEqual({ count: 0 });
});

it('a source that begins on no session has all of its symbols in the second night too', async () => {
  live.provider.firstSession = SATURDAY;
  live.fallback.firstSession = SATURDAY;
  await live.night(S1);
  const second = await live.night(S2);
  expect(second).toMatchObject({ failed: 0, rowsInserted: 24, coverage: { fromSession: S1, withBar: 24 } });
});
