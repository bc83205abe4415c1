import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createDecisionActivities } from '../../src/activities/decisions/activities.ts';
import type { QuarantineDecisionInput, SessionOverrideInput } from '../../src/contracts/decisions.ts';
import { openEvents } from '../../src/db/queries/events.ts';
import { readQualityCounts } from '../../src/db/queries/quality.ts';
import { readQuarantine } from '../../src/db/queries/quarantine.ts';
import { listAudit } from '../../src/db/queries/requests.ts';
import { readSessionTable, XNYS_CALENDAR_FILE } from '../../src/providers/calendar-file.ts';
import { decideQuarantine, DecisionRefusedError, overrideSession } from '../../src/temporal/decisions.ts';
import { createFakes } from '../support/fakes.ts';
import { type House, openHouse } from '../support/house.ts';
import { useRig } from '../support/rig.ts';
import { IngestionHouse, type LeftHouse } from './ingestion-house.ts';
import { bar, ScriptedProvider } from './scripted-provider.ts';

const rigs = useRig({ decisions: true });
const SESSIONS = ['2018-01-29', '2018-01-30', '2018-01-31', '2018-02-01'] as const;
const [S1, S2, S3, S4] = SESSIONS;
const SYMBOLS = Array.from({ length: 24 }, (_, index) => `S${String.fromCharCode(65 + index)}`);
const WHO = { by: 'Ann', why: 'checked by phone' };

/** The refusal of a verb, which must be one. */
async function refusal(act: Promise<unknown>): Promise<DecisionRefusedError> {
  const error: unknown = await act.then(
    () => new Error('it was not refused'),
    (caught: unknown) => caught,
  );
  if (error instanceof DecisionRefusedError) return error;
  throw error;
}

describe('a decision about a quarantined row', () => {
  let house: IngestionHouse;
  let provider: ScriptedProvider;
  /** After the nights of S1 and S2: each test begins with a copy of it. */
  let twoNights: LeftHouse;

  function scripted(): ScriptedProvider {
    const source = new ScriptedProvider('first');
    for (const [index, symbol] of SYMBOLS.entries()) {
      for (const [day, session] of SESSIONS.entries()) {
        source.set(symbol, session, bar(20 + index + day * 0.1));
      }
    }
    source.set('SG', S2, [10, 9, 11, 10, 5]);
    source.set('SH', S2, [10, 11, 9, Number.NaN, 5]);
    source.set('SI', `${S2} again`, bar(1));
    return source;
  }
  beforeAll(async () => {
    house = await IngestionHouse.open([scripted()]);
    await night(S1);
    await night(S2);
    twoNights = await house.leave();
  });
  afterAll(() => twoNights.drop());
  beforeEach(async () => {
    provider = scripted();
    house = await IngestionHouse.open([provider], { from: twoNights });
    at(S2);
    rigs.current.use({ ...createFakes().activities, ...house.decisions });
  });
  afterEach(() => house.close());

  /** The clock at the nominal instant of a session's night. */
  function at(sessionDate: string): void {
    house.now = new Date(Date.parse(`${sessionDate}T00:00:00Z`) + 27.75 * 3_600_000);
  }

  async function night(sessionDate: string) {
    at(sessionDate);
    return await house.night({
      universe: 'live',
      sessionDate,
      symbols: SYMBOLS,
      settings: { historySessions: 3 },
    });
  }
  const ask = (change: Partial<QuarantineDecisionInput>) =>
    decideQuarantine(rigs.current.client, {
      symbol: 'SG',
      sessionDate: S2,
      provider: 'first',
      decision: 'release',
      row: null,
      ...WHO,
      ...change,
    });
  const pending = async () =>
    (await readQuarantine(house.sql, { status: 'pending' })).map(({ symbol }) => symbol);
  const barsOf = (symbol: string) => house.sql`
    select b.close, b.revision, b.available_at, s.provider, s.dataset, s.price_basis, s.task_run_id
    from market.bars b join market.bar_sources s using (source_id)
    where b.symbol = ${symbol} and b.session_date = ${S2}`;

  it('released, the row is a bar with provenance and a note, known from now on', async () => {
    house.now = new Date(`${S3}T20:00:00Z`);
    const answer = await ask({});
    expect(answer).toEqual({
      symbol: 'SG',
      sessionDate: S2,
      provider: 'first',
      status: 'released',
      decidedBy: 'Ann',
      decidedAt: `${S3}T20:00:00.000Z`,
      why: 'checked by phone',
    });
    expect(await barsOf('SG')).toEqual([
      {
        close: 10,
        revision: 0,
        availableAt: `${S3}T20:00:00.000Z`,
        provider: 'first',
        dataset: 'quarantine',
        priceBasis: 'split-adjusted@2018-01-24',
        taskRunId: `quarantine/SG/${S2}/first/release`,
      },
    ]);
    const flags = await house.sql`
      select kind, severity, reason, available_session from market.bar_flags where symbol = 'SG'`;
    expect(flags).toMatchObject([
      {
        kind: 'released',
        severity: 'note',
        availableSession: S3,
        reason: expect.stringContaining('Ann') as string,
      },
    ]);
    expect(await openEvents(house.sql, 'bar.released')).toMatchObject([
      { subject: 'SG', sessionDate: S2, details: { availableAt: `${S3}T20:00:00.000Z`, by: 'Ann' } },
    ]);
    expect(await listAudit(house.sql)).toMatchObject([
      { actor: 'Ann', action: 'quarantine.released', subject: `SG ${S2} first`, role: 'nightshift_ingest' },
    ]);
  });

  it('stands when the same bad row comes again, released or rejected', async () => {
    await ask({});
    await ask({ symbol: 'SH', decision: 'reject' });
    expect(await pending()).toEqual(['SI']);
    const result = await night(S3);
    // The bad rows were delivered again.
    const asked = provider.requests.at(-1);
    expect(asked !== undefined && asked.from <= S2 && asked.to === S3).toBe(true);
    expect(result).toMatchObject({ failed: 0, rowsRevised: 0 });
    expect(await pending()).toEqual(['SI']);
    expect(await barsOf('SG')).toMatchObject([{ close: 10, revision: 0, dataset: 'quarantine' }]);
    expect(await barsOf('SH')).toEqual([]);
    const print = await house.fingerprint();
    expect(await night(S3)).toMatchObject({ rowsChanged: 0 });
    expect(await house.fingerprint()).toEqual(print);
    const [run] = await house.sql<{ version: string }[]>`
      select universe_version as version from ops.task_runs limit 1`;
    const quality = await readQualityCounts(house.sql, {
      symbols: SYMBOLS,
      fromSession: S1,
      throughSession: S3,
      universeVersion: run?.version ?? '',
    });
    // SH and SI are kept out, only SI still waits for a person.
    expect(quality).toMatchObject({ quarantined: 2, undecided: 1 });
  });

  it('does not keep out what the provider corrects later', async () => {
    await ask({});
    await ask({ symbol: 'SH', decision: 'reject' });
    provider.set('SG', S2, bar(26));
    provider.set('SH', S2, bar(27));
    expect(await night(S3)).toMatchObject({ rowsRevised: 1 });
    expect(await barsOf('SG')).toMatchObject([{ close: 26 * 1.002, revision: 1, dataset: 'first-live' }]);
    expect(await barsOf('SH')).toMatchObject([{ close: 27 * 1.002, revision: 0 }]);
    expect(await openEvents(house.sql, 'bar.revised')).toMatchObject([{ subject: 'SG', sessionDate: S2 }]);
    const rows =
      await house.sql`select symbol, status, decided_by from market.quarantine where symbol < 'SI'`;
    expect(rows).toEqual([
      { symbol: 'SG', status: 'released', decidedBy: 'Ann' },
      { symbol: 'SH', status: 'rejected', decidedBy: 'Ann' },
    ]);
  });

  it('is made once: the same again gives the first answer, another one is refused', async () => {
    const first = await ask({});
    expect(await ask({ by: 'Bob', why: 'me too' })).toEqual(first);
    expect(await refusal(ask({ decision: 'reject', by: 'Bob' }))).toMatchObject({
      type: 'AlreadyDecided',
      message: expect.stringContaining(`SG ${S2} first was released by Ann at `) as string,
    });
    expect(await listAudit(house.sql)).toHaveLength(1);
    expect(await openEvents(house.sql, 'bar.released')).toHaveLength(1);
  });

  it('of two opposite ones at the same moment exactly one is made', async () => {
    const outcomes = await Promise.allSettled([ask({}), ask({ decision: 'reject', by: 'Bob' })]);
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    const lost = outcomes.find((outcome) => outcome.status === 'rejected');
    expect(lost?.reason).toMatchObject({ type: 'AlreadyDecided' });
    const [row] = await house.sql`select status from market.quarantine where symbol = 'SG'`;
    expect(await barsOf('SG')).toHaveLength(row?.['status'] === 'released' ? 1 : 0);
  });

  it.each([
    [{ symbol: 'ZZ' }, `no quarantined row: ZZ ${S2} first`],
    [{ provider: 'second' }, `no quarantined row: SG ${S2} second`],
    [{ symbol: 'SH' }, `SH ${S2} first cannot be released: it has no close`],
    [{ symbol: 'SI' }, '2 different rows were delivered, say which one (--row 1 to 2)'],
    [{ symbol: 'SI', row: 3 }, 'there is no row 3 of 2'],
    [{ by: ' ' }, 'a decision needs the name of the person'],
    [{ why: '' }, 'a decision needs a reason'],
    [{ decision: 'later' as 'release' }, 'decision: later is none of release, reject'],
  ] satisfies [Partial<QuarantineDecisionInput>, string][])('%o is refused: %s', async (change, message) => {
    expect(await refusal(ask(change))).toMatchObject({
      type: 'InvalidInput',
      message: expect.stringContaining(message) as string,
    });
    expect(await pending()).toEqual(['SG', 'SH', 'SI']);
    expect(await listAudit(house.sql)).toEqual([]);
  });

  it('takes the row a person names, and never replaces a stored bar', async () => {
    await ask({ symbol: 'SI', row: 2 });
    expect(await barsOf('SI')).toMatchObject([{ close: 1.002 }]);
    await house.sql`insert into market.quarantine
      select symbol, session_date, 'second', price_basis, codes, reason, raw, 'pending', null, null, null, available_at,
        task_run_id, recorded_at from market.quarantine where symbol = 'SG'`;
    await ask({});
    expect(await refusal(ask({ provider: 'second' }))).toMatchObject({
      message: expect.stringContaining('a bar of that session is stored already') as string,
    });
  });

  it('about a split or a ticker goes the same way, beside one about the bar of that date', async () => {
    house.now = new Date(`${S3}T20:00:00Z`);
    await house.sql`
      insert into market.quarantine (symbol, session_date, subject, provider, price_basis, codes, reason, raw, available_at)
      select 'SG', ${S2}, s.subject, 'first', 'as-traded', '{x}', 'why', '[]', now()
      from unnest(array['split 2:1', 'gap']) as s(subject)`;
    expect(await ask({ subject: 'split 2:1' })).toMatchObject({ status: 'released', decidedBy: 'Ann' });
    expect(await ask({ subject: 'gap', decision: 'reject' })).toMatchObject({ status: 'rejected' });
    expect(await refusal(ask({ subject: 'split 3:1' }))).toMatchObject({
      message: expect.stringContaining(`no quarantined row: SG ${S2} split 3:1 first`) as string,
    });
    const events = await house.sql`
      select kind, details ->> 'status' as status, task_run_id from ops.events
      where subject = 'SG' and kind in ('split.released', 'gap.decided') order by event_id`;
    expect(events).toEqual([
      {
        kind: 'split.released',
        status: 'released',
        taskRunId: `quarantine/SG/${S2}/split 2:1/first/release`,
      },
      { kind: 'gap.decided', status: 'rejected', taskRunId: `quarantine/SG/${S2}/gap/first/reject` },
    ]);
    expect(await pending()).toEqual(['SG', 'SH', 'SI']);
    expect(await barsOf('SG')).toEqual([]);
    expect(await ask({})).toMatchObject({ status: 'released' });
    expect(await barsOf('SG')).toHaveLength(1);
  });

  it('needs the role ingest', async () => {
    const sessions = async () => [];
    const wrong = createDecisionActivities({ db: house.db('pipeline'), sessions, clock: () => house.now });
    const input = { symbol: 'SG', sessionDate: S2, provider: 'first', row: null, ...WHO, workflowId: 'w' };
    await expect(wrong.decideQuarantine({ ...input, decision: 'reject' })).rejects.toThrow(
      'permission denied for table',
    );
  });

  it('a session that is closed has no night, until the closure is removed', async () => {
    house.now = new Date(`${S3}T20:00:00Z`);
    const decide = (input: Partial<SessionOverrideInput>) =>
      overrideSession(rigs.current.client, {
        sessionDate: S4,
        change: 'closed',
        open: null,
        close: null,
        ...WHO,
        ...input,
      });
    await decide({});
    await expect(night(S4)).rejects.toMatchObject({ type: 'InvalidInput' });
    await decide({ change: 'remove' });
    expect(await night(S4)).toMatchObject({ failed: 0 });
  });
});

describe('a change of the calendar', () => {
  let house: House;
  beforeAll(async () => {
    house = await openHouse({ client: rigs.current.client, now: () => Date.parse('2026-11-22T00:00:00Z') });
  });
  beforeEach(() => {
    rigs.current.use({
      ...createFakes().activities,
      ...createDecisionActivities({
        db: house.owner,
        sessions: () => readSessionTable(XNYS_CALENDAR_FILE),
        clock: () => new Date(),
      }),
    });
  });
  afterAll(() => house.close());

  const change = (input: Partial<SessionOverrideInput>) =>
    overrideSession(rigs.current.client, {
      sessionDate: '2018-02-07',
      change: 'closed',
      open: null,
      close: null,
      by: 'Ann',
      why: 'no trading',
      ...input,
    });
  let plans = 0;
  const planOf = async (sessionDate?: string) => {
    plans += 1;
    const run = { workflowId: `night-${plans}`, runId: `run-${plans}-00000000`, nominalInstant: null };
    return await house.runs.planNight({
      ...run,
      trigger: 'manual',
      universe: 'tiny',
      ...(sessionDate === undefined ? {} : { sessionDate }),
    });
  };

  it('is what later nights plan with, until it is removed', async () => {
    const closed = await change({});
    expect(closed).toMatchObject({ state: 'closed', openAt: null, closeAt: null, decidedBy: 'Ann' });
    expect(await planOf('2018-02-07')).toMatchObject({
      outcome: 'no_session',
      reason: 'XNYS is closed on 2018-02-07',
    });
    // The newest session of the bundled data is the one before now.
    expect(await planOf()).toMatchObject({ outcome: 'run', sessionDate: '2018-02-06' });
    expect(await change({ by: 'Bob', why: 'the same' })).toEqual(closed);
    expect(await refusal(change({ change: 'hours', close: '13:00', by: 'Bob' }))).toMatchObject({
      type: 'AlreadyDecided',
      message: '2018-02-07 is closed by Ann: no trading; remove that first',
    });
    const removed = await change({ change: 'remove', why: 'it was open' });
    expect(removed).toMatchObject({
      state: 'removed',
      openAt: '2018-02-07T14:30:00.000Z',
      why: 'it was open',
    });
    expect(await change({ change: 'remove', by: 'Bob', why: 'again' })).toEqual(removed);
    expect(await planOf('2018-02-07')).toMatchObject({ outcome: 'run' });
    expect(await listAudit(house.database.sql, { subject: '2018-02-07' })).toMatchObject([
      { action: 'calendar.remove', details: { from: 'closed' } },
      { action: 'calendar.override', details: { to: 'closed' } },
    ]);
    expect(await openEvents(house.database.sql, 'session.changed')).toHaveLength(2);
  });

  it('of hours moves the instants and tells nobody: nothing that was made depends on them', async () => {
    const early = await change({ sessionDate: '2018-01-31', change: 'hours', close: '13:00' });
    expect(early).toMatchObject({
      state: 'hours',
      openAt: '2018-01-31T14:30:00.000Z',
      closeAt: '2018-01-31T18:00:00.000Z',
    });
    const late = await change({ sessionDate: '2018-01-30', change: 'hours', open: '11:00' });
    expect(late).toMatchObject({ openAt: '2018-01-30T16:00:00.000Z', closeAt: '2018-01-30T21:00:00.000Z' });
    const added = await change({ sessionDate: '2018-01-27', change: 'hours', open: '09:30', close: '12:00' });
    expect(added).toMatchObject({ state: 'hours', closeAt: '2018-01-27T17:00:00.000Z' });
    const events = await openEvents(house.database.sql, 'session.changed');
    expect(events.map(({ subject }) => subject).filter((subject) => subject < '2018-02-01')).toEqual([
      '2018-01-27',
    ]);
  });

  it.each([
    [{ sessionDate: '2018-02-10' }, '2018-02-10 is no session: there is nothing to close'],
    [{ sessionDate: '2018-02-10', change: 'hours', close: '13:00' }, 'give open and close'],
    [{ sessionDate: '2018-02-05', change: 'hours', close: '25:00' }, 'close: 25:00 is not a time like 09:30'],
    [
      { sessionDate: '2018-02-05', change: 'hours', close: '16:00' },
      'has these hours in the calendar file already',
    ],
    [
      { sessionDate: '2018-02-05', change: 'hours', close: '09:00' },
      'session 2018-02-05 closes before it opens',
    ],
    [{ sessionDate: '2018-02-05', change: 'remove' }, 'no override of 2018-02-05 to remove'],
    [{ sessionDate: '2018-02-05', why: ' ' }, 'a decision needs a reason'],
  ] satisfies [Partial<SessionOverrideInput>, string][])('%o is refused: %s', async (input, message) => {
    expect(await refusal(change(input))).toMatchObject({
      type: 'InvalidInput',
      message: expect.stringContaining(message) as string,
    });
    const [row] = await house.database.sql`
      select 1 from market.session_overrides where session_date = ${input.sessionDate}`;
    expect(row).toBeUndefined();
  });
});
