import { beforeEach, describe, expect, it } from 'vitest';
import { readSymbolOutcomes, type SymbolOutcome } from '../../src/db/queries/symbol-outcomes.ts';
import { NotFoundError, RateLimitedError, TransientError } from '../../src/providers/errors.ts';
import { S1, S2, S3, S4, SESSIONS, useLiveMarket } from './live-market.ts';
import { bar } from './scripted-provider.ts';

const live = useLiveMarket();
const SYMBOL = 'SF';
const [, BEFORE] = SESSIONS as [string, string];
/** Three sessions stand for the twenty of the default. */
const AFTER = 3;

beforeEach(() => {
  live.settings = { historySessions: 6, data: { delistedAfterSessions: AFTER } };
  // Nobody asks again: what failed stays failed for the night.
  live.info = { attempt: 1, retryPolicy: { maximumAttempts: 1 } };
});

/** The symbol has no bar from a session on, until it comes back. */
function pause(input: { from: string; until?: string }): void {
  for (const session of SESSIONS) {
    const isThere = session < input.from || (input.until !== undefined && session >= input.until);
    if (!isThere) live.provider.set(SYMBOL, session, null);
  }
}

/** The second source knows the symbol too, as long as the first one does. */
function second(through: string): void {
  for (const session of SESSIONS) live.fallback.set(SYMBOL, session, session <= through ? bar(25) : null);
}

async function outcomeOf(sessionDate: string): Promise<SymbolOutcome> {
  const [run] = await live.house.sql<{ id: string }[]>`
    select task_run_id as id from ops.task_runs where session_date = ${sessionDate}
    order by created_at desc limit 1`;
  const [outcome] = await readSymbolOutcomes(live.house.sql, {
    taskRunId: run?.id ?? '',
    symbols: [SYMBOL],
  });
  if (outcome === undefined) throw new Error(`no outcome of ${sessionDate}`);
  return outcome;
}

/** The night's class of the symbol, null where it has its bar; the result names the same as the row. */
async function classOf(sessionDate: string): Promise<string | null> {
  const result = await live.night(sessionDate);
  const { details, reason } = await outcomeOf(sessionDate);
  const { absence } = details;
  if (absence === undefined) {
    expect(result).toMatchObject({ absent: [], absentByClass: {} });
    return null;
  }
  const { class: name, sessions, lastBar } = absence;
  expect(result['absent']).toEqual([{ symbol: SYMBOL, class: name, sessions, lastBar, reason }]);
  expect(result['absentByClass']).toEqual({ [name]: 1 });
  return `${name} ${sessions}`;
}

const both = { asked: ['first', 'second'], answered: ['first', 'second'], withBars: [] };

describe('a symbol without a bar', () => {
  it('that is throttled for a night is not dead: it is asked for again and has its bars', async () => {
    await live.night(S1);
    live.provider.errors.set(
      SYMBOL,
      new RateLimitedError('slow down', { provider: 'first', symbol: SYMBOL, retryAfterMs: 1 }),
    );
    expect(await classOf(S2)).toBe('throttled 1');
    expect(await outcomeOf(S2)).toMatchObject({
      status: 'failed',
      reason: expect.stringMatching(/^rateLimited: /) as string,
      details: {
        absence: {
          class: 'throttled',
          sessions: 1,
          lastBar: S1,
          sources: { asked: ['first', 'second'], answered: [], withBars: [] },
        },
      },
    });
    // However long: nobody said that there is none.
    expect(await classOf(S3)).toBe('throttled 2');
    expect(await classOf(S4)).toBe('throttled 3');
    live.provider.errors.clear();
    expect(await classOf(S4)).toBeNull();
    expect(await live.asOf(SYMBOL, S4)).toHaveLength(SESSIONS.length);
    expect((await outcomeOf(S4)).reason).toBeNull();
  });

  it('is unknown or unreachable as sources say it, which is no delisting', async () => {
    await live.night(S1);
    live.provider.errors.set(SYMBOL, new NotFoundError('who?', { provider: 'first', symbol: SYMBOL }));
    expect(await classOf(S2)).toBe('unknown 1');
    live.provider.errors.set(SYMBOL, new TransientError('reset', { provider: 'first', symbol: SYMBOL }));
    expect(await classOf(S3)).toBe('unreachable 2');
  });

  it('is out of range where no source that knows it can have the session', async () => {
    pause({ from: S2 });
    await live.night(S1);
    live.provider.lastSession = S1;
    // The others go on in the second source, which does not know this one.
    for (const [symbol, rows] of live.provider.rows) {
      if (symbol !== SYMBOL) for (const [session, row] of rows) live.fallback.set(symbol, session, row);
    }
    expect(await classOf(S2)).toBe('range 1');
    expect(await outcomeOf(S2)).toMatchObject({ status: 'ok' });
  });

  it('is throttled, not out of range, while the source that could have the session is', async () => {
    pause({ from: S2 });
    await live.night(S1);
    live.provider.lastSession = S1;
    for (const [symbol, rows] of live.provider.rows)
      for (const [session, row] of rows) live.fallback.set(symbol, session, row);
    const about = { provider: 'second', symbol: SYMBOL };
    live.fallback.errors.set(SYMBOL, new RateLimitedError('slow down', { ...about, retryAfterMs: 1 }));
    expect(await classOf(S2)).toBe('throttled 1');
    expect((await outcomeOf(S2)).details.absence?.sources.asked).toEqual(['first', 'second']);
    live.fallback.errors.set(SYMBOL, new TransientError('reset', about));
    expect(await classOf(S2)).toBe('unreachable 1');
  });

  it('whose prices cannot be compared has none that can be used', async () => {
    live.settings = { historySessions: 6 };
    await live.night(S3);
    for (const [session, row] of live.provider.rows.get(SYMBOL) ?? [])
      live.provider.set(SYMBOL, session, bar(row[0] / 2));
    expect(await classOf(S4)).toBe('unreachable 1');
    expect(await outcomeOf(S4)).toMatchObject({
      status: 'failed',
      reason: expect.stringMatching(/^basisMismatch: /) as string,
      details: { absence: { lastBar: S3, sources: { asked: ['first'], answered: [] } } },
    });
  });

  it('is named before those that have been without one for longer', async () => {
    pause({ from: S1 });
    for (const session of [S3, S4]) live.provider.set('SG', session, null);
    for (const session of [BEFORE, S1, S2]) await live.night(session);
    const result = await live.night(S3);
    expect(result['absent']).toMatchObject([
      { symbol: 'SG', class: 'halted', sessions: 1 },
      { symbol: SYMBOL, class: 'halted', sessions: 3 },
    ]);
    expect(result['absentByClass']).toEqual({ halted: 2 });
  });

  it('that pauses is halted, keeps its status, and with one source is never called delisted', async () => {
    pause({ from: S1 });
    await live.night(BEFORE);
    expect(await classOf(S1)).toBe('halted 1');
    expect(await outcomeOf(S1)).toMatchObject({
      status: 'ok',
      reason: `${SYMBOL} is halted: no bar for 1 session up to ${S1}, the last one is of ${BEFORE}; asked: first`,
      details: { absence: { sources: { asked: ['first'], answered: ['first'], withBars: [] } } },
    });
    expect(await classOf(S2)).toBe('halted 2');
    // The second source does not know the symbol: it could not have its bars.
    expect(await classOf(S3)).toBe('halted 3');
    expect(await classOf(S4)).toBe('halted 4');
    expect((await outcomeOf(S4)).reason).toBe(
      `${SYMBOL} is halted: no bar for 4 sessions up to ${S4}, the last one is of ${BEFORE}; asked: first; ` +
        'not called delisted: that takes 2 sources that could have the sessions and agree',
    );
  });

  it('is delisted once two sources agree for n sessions, and nothing keeps it from coming back', async () => {
    pause({ from: S1, until: S4 });
    second(BEFORE);
    await live.night(BEFORE);
    expect(await classOf(S1)).toBe('halted 1');
    expect(await classOf(S2)).toBe('halted 2');
    const asked = live.fallback.requests.length;
    expect(await classOf(S3)).toBe('delisted 3');
    expect(live.fallback.requests.slice(asked)).toEqual([{ symbols: [SYMBOL], from: S1, to: S3 }]);
    expect(await outcomeOf(S3)).toMatchObject({
      status: 'ok',
      reason:
        `${SYMBOL} is delisted: no bar for 3 sessions up to ${S3}, the last one is of ${BEFORE}; ` +
        'asked: first, second; first and second agree',
      details: { absence: { class: 'delisted', sessions: 3, lastBar: BEFORE, sources: both } },
    });
    expect(await classOf(S4)).toBeNull();
    expect(await live.asOf(SYMBOL, S4)).toHaveLength(3);
  });

  it.each([
    [
      'is rate limited',
      () => new RateLimitedError('slow down', { provider: 'second', symbol: SYMBOL, retryAfterMs: 60_000 }),
    ],
    ['is down', () => new TransientError('reset', { provider: 'second', symbol: SYMBOL })],
  ])('is not delisted while the second source %s, and no symbol fails for it', async (_, error) => {
    pause({ from: S1 });
    second(BEFORE);
    live.fallback.errors.set(SYMBOL, error());
    for (const session of [BEFORE, S1, S2]) await live.night(session);
    expect(await classOf(S3)).toBe('halted 3');
    expect((await outcomeOf(S3)).reason).toContain('not called delisted: second did not answer');
    expect((await outcomeOf(S3)).status).toBe('ok');
    live.fallback.errors.clear();
    expect(await classOf(S4)).toBe('delisted 4');
  });

  it('is not delisted while another source has bars of these sessions', async () => {
    pause({ from: S1 });
    second(S4);
    for (const session of [BEFORE, S1, S2]) await live.night(session);
    expect(await classOf(S3)).toBe('halted 3');
    expect((await outcomeOf(S3)).reason).toContain('not called delisted: second has bars in these sessions');
  });

  it('of which there never was a bar may not be listed yet', async () => {
    pause({ from: '2018-01-01' });
    second('2018-01-01');
    expect(await classOf(S4)).toBe('neverSeen 6');
    expect(await outcomeOf(S4)).toMatchObject({
      status: 'no_data',
      reason: `no bar between ${SESSIONS[0]} and ${S4}`,
    });
  });

  it('that delivered an impossible row has not paused', async () => {
    live.provider.set(SYMBOL, S2, [10, 9, 11, 10, 5]);
    live.provider.set(SYMBOL, S3, null);
    await live.night(S1);
    expect(await classOf(S2)).toBeNull();
    expect(await classOf(S3)).toBe('halted 1');
  });
});

describe('a night that runs again', () => {
  it('finds the same, at once and after later nights, whatever sources say by then', async () => {
    pause({ from: S1, until: S4 });
    second(BEFORE);
    await live.night(BEFORE);
    const first = new Map<string, unknown>();
    for (const session of [S1, S2, S3]) first.set(session, (await live.night(session))['absent']);
    expect(first.get(S3)).toMatchObject([{ class: 'delisted', lastBar: BEFORE }]);
    const print = await live.house.fingerprint();
    expect((await live.night(S3))['absent']).toEqual(first.get(S3));
    expect(await live.house.fingerprint()).toEqual(print);

    // It comes back, with the bars that were missing, in both sources.
    for (const session of SESSIONS) {
      live.provider.set(SYMBOL, session, bar(25));
      live.fallback.set(SYMBOL, session, bar(25));
    }
    expect(await classOf(S4)).toBeNull();
    expect(await live.asOf(SYMBOL, S4)).toHaveLength(SESSIONS.length);
    const later = await live.house.fingerprint();
    for (const session of [S1, S2, S3]) {
      const { absence } = (await outcomeOf(session)).details;
      expect((await live.night(session))['absent']).toEqual(first.get(session));
      expect((await outcomeOf(session)).details.absence).toEqual(absence);
    }
    expect(await live.house.fingerprint()).toEqual(later);
  });

  it('finds the same of a symbol that never comes back, although sources say more by then', async () => {
    pause({ from: S1 });
    second(BEFORE);
    const error = new TransientError('reset', { provider: 'second', symbol: SYMBOL });
    live.fallback.errors.set(SYMBOL, error);
    for (const session of [BEFORE, S1, S2]) await live.night(session);
    expect(await classOf(S3)).toBe('halted 3');
    const { absence, reason } = { ...(await outcomeOf(S3)), ...(await outcomeOf(S3)).details };
    live.fallback.errors.clear();
    expect(await classOf(S4)).toBe('delisted 4');
    const print = await live.house.fingerprint();
    for (const fails of [false, true]) {
      if (fails)
        live.provider.errors.set(SYMBOL, new TransientError('reset', { provider: 'first', symbol: SYMBOL }));
      expect(await classOf(S3)).toBe('halted 3');
      expect((await outcomeOf(S3)).details.absence).toEqual(absence);
    }
    live.provider.errors.clear();
    await live.night(S3);
    expect((await outcomeOf(S3)).reason).toBe(reason);
    expect(await live.house.fingerprint()).toEqual(print);
  });

  it('and ran first after later ones names who said that there is no bar', async () => {
    pause({ from: S2, until: S3 });
    await live.night(S1);
    await live.night(S3);
    expect(await classOf(S2)).toBe('halted 1');
    expect((await outcomeOf(S2)).details.absence?.sources).toEqual({
      asked: ['first'],
      answered: ['first'],
      withBars: [],
    });
  });
});
