import { afterEach, beforeEach, expect, it } from 'vitest';
import { RateLimitedError } from '../../src/providers/errors.ts';
import { IngestionHouse, runAs } from './ingestion-house.ts';
import { bar, ScriptedProvider } from './scripted-provider.ts';

const SYMBOLS = ['SA', 'SB', 'SC'];
const [S0, S1, S2] = ['2018-02-05', '2018-02-06', '2018-02-07'] as const;

let house: IngestionHouse;
let archive: ScriptedProvider;
let live: ScriptedProvider;

beforeEach(async () => {
  archive = new ScriptedProvider('archive');
  archive.lastSession = S1;
  live = new ScriptedProvider('live');
  house = await IngestionHouse.open([archive, live]);
  for (const [index, symbol] of SYMBOLS.entries()) {
    for (const session of [S0, S1]) archive.set(symbol, session, bar(20 + index));
    for (const session of [S0, S1, S2]) live.set(symbol, session, bar(20 + index));
  }
});

afterEach(() => house.close());

const options = (sessionDate: string) => ({
  universe: 'chained',
  sessionDate,
  symbols: SYMBOLS,
  settings: { historySessions: 3 },
});
const providersOf = (sessionDate: string) => house.sql`
  select b.symbol, s.provider from market.bars b join market.bar_sources s using (source_id)
  where session_date = ${sessionDate} order by 1`;
const gaps = () => house.sql`
  select symbol, session_date from market.gaps where session_date >= ${S0} order by 1, 2`;

it('goes on with the next source where the first one ends, without touching what is stored', async () => {
  await house.night(options(S1));
  const result = await house.night(options(S2));
  expect(result).toMatchObject({ failed: 0, rowsRevised: 0, providers: ['live'] });
  expect(await providersOf(S1)).toEqual(SYMBOLS.map((symbol) => ({ symbol, provider: 'archive' })));
  expect(await providersOf(S2)).toEqual(SYMBOLS.map((symbol) => ({ symbol, provider: 'live' })));
  expect(await gaps()).toEqual([]);
});

it('leaves no gap for a session that a source which may have it could not give now', async () => {
  await house.night(options(S1));
  for (const symbol of SYMBOLS) {
    live.errors.set(symbol, new RateLimitedError('slow down', { provider: 'live', symbol, retryAfterMs: 1 }));
  }
  const step = await house.begin(options(S2));
  const plan = await runAs(() => house.activities.planIngestion(step));
  const [batch] = plan.batches;
  if (batch === undefined) throw new Error('one batch was expected');
  await expect(runAs(() => house.activities.ingestBatch({ ...step, batch }))).rejects.toThrow('slow down');
  expect(await gaps()).toEqual([]);
  expect(await providersOf(S2)).toEqual([]);
});
