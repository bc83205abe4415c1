import { describe, expect, it } from 'vitest';
import { readBars } from '../../src/db/queries/bars.ts';
import { openEvents } from '../../src/db/queries/events.ts';
import { nightCutoff } from '../../src/db/queries/sessions.ts';
import { S1, S2, S3, S4, SESSIONS, SYMBOLS, UNIVERSE, useLiveMarket } from './live-market.ts';
import { bar, type Row } from './scripted-provider.ts';

const live = useLiveMarket();

describe('bars that change', () => {
  it('a revised final bar keeps its predecessor, tells others, and past nights see what they saw', async () => {
    live.settings = { historySessions: 6 };
    await live.night(S1);
    await live.night(S2);
    const before = await live.asOf('SA', S2);
    live.provider.set('SA', S1, bar(50));
    const result = await live.night(S3);
    expect(result).toMatchObject({ rowsRevised: 1, rowsInserted: 24 });
    const [row] = await live.house.sql`
      select close, state, revision from market.bars where symbol = 'SA' and session_date = ${S1}`;
    expect(row).toEqual({ close: 50 * 1.002, state: 2, revision: 1 });
    const kept = await live.house.sql`select symbol, session_date, revision, state from market.bar_revisions`;
    expect(kept).toEqual([{ symbol: 'SA', sessionDate: S1, revision: 0, state: 1 }]);
    expect(await openEvents(live.house.sql, 'bar.revised')).toMatchObject([
      { subject: 'SA', sessionDate: S1, details: { revision: 1, after: { close: 50 * 1.002 } } },
    ]);
    expect(await live.asOf('SA', S2)).toEqual(before);
    expect((await live.asOf('SA', S3))[2]).toBe(50 * 1.002);
    const print = await live.house.fingerprint();
    expect(await live.night(S3)).toMatchObject({ rowsChanged: 0 });
    // A replay of the older night meets the revised value and leaves it.
    expect(await live.night(S2)).toMatchObject({ rowsChanged: 0 });
    expect(await live.house.fingerprint()).toEqual(print);
    live.provider.set('SA', S1, bar(60));
    await live.night(S4);
    expect((await live.asOf('SA', S3))[2]).toBe(50 * 1.002);
    expect((await live.asOf('SA', S4))[2]).toBe(60 * 1.002);
    expect(await live.asOf('SA', S2)).toEqual(before);
  });

  it('a bar fetched before its session has settled is provisional until the next night', async () => {
    await live.night(S1);
    live.at(S2, '21:30');
    const step = { universe: UNIVERSE, sessionDate: S2, symbols: SYMBOLS, settings: live.settings };
    await live.house.night(step);
    const states = () => live.house.sql`
      select state, count(*) from market.bars where session_date = ${S2} group by state order by state`;
    expect(await states()).toEqual([{ state: 0, count: 24 }]);
    live.provider.set('SB', S2, bar(33));
    expect(await live.night(S3)).toMatchObject({ rowsRevised: 24 });
    expect(await states()).toEqual([{ state: 1, count: 24 }]);
    const [row] = await live.house.sql`
      select close, revision from market.bars where symbol = 'SB' and session_date = ${S2}`;
    expect(row).toEqual({ close: 33 * 1.002, revision: 1 });
    expect(await openEvents(live.house.sql, 'bar.revised')).toEqual([]);
    expect((await live.asOf('SB', S2)).at(-1)).not.toBe(33 * 1.002);
    expect((await live.asOf('SB', S3)).at(-2)).toBe(33 * 1.002);
  });

  it('another provider fills what is missing but does not overwrite what is final', async () => {
    await live.night(S1);
    live.provider.rows.delete('SD');
    for (const session of [S1, S2]) live.fallback.set('SD', session, bar(77));
    const result = await live.night(S2);
    expect(result).toMatchObject({ failed: 0, rowsRevised: 0, providers: ['first', 'second'] });
    const stored = await live.house.sql`
      select b.session_date, s.provider from market.bars b join market.bar_sources s using (source_id)
      where symbol = 'SD' order by 1 desc limit 2`;
    expect(stored).toEqual([
      { sessionDate: S2, provider: 'second' },
      { sessionDate: S1, provider: 'first' },
    ]);
  });

  it('a session that comes late is known from then on, not before', async () => {
    live.provider.set('SE', S1, null);
    await live.night(S1);
    expect(await live.house.sql`select symbol, session_date from market.gaps`).toEqual([
      { symbol: 'SE', sessionDate: S1 },
    ]);
    const before = await live.asOf('SE', S1);
    live.provider.set('SE', S1, bar(24));
    await live.night(S2);
    expect(await live.asOf('SE', S1)).toEqual(before);
    expect(await live.asOf('SE', S2)).toHaveLength(before.length + 2);
  });
});

describe('price bases', () => {
  const halve = ([open, high, low, close, volume]: Row): Row => [
    open / 2,
    high / 2,
    low / 2,
    close / 2,
    volume * 2,
  ];

  it('an overlap on a newer basis agrees through the known split and nothing is revised', async () => {
    await live.night(S2);
    live.provider.splits = [{ symbol: 'SF', exDate: S3, newShares: 2, oldShares: 1 }];
    live.provider.basis = { ...live.provider.basis, asOf: S3 };
    rebase('SF', halve);
    const result = await live.night(S3);
    expect(result).toMatchObject({ failed: 0, rowsRevised: 0, rowsInserted: 24 });
    const bases = await live.house.sql`
      select b.session_date, s.basis_date from market.bars b join market.bar_sources s using (source_id)
      where symbol = 'SF' order by 1 desc limit 2`;
    expect(bases).toEqual([
      { sessionDate: S3, basisDate: S3 },
      { sessionDate: S2, basisDate: '2018-01-24' },
    ]);
    // The split is stored by now and reported again: it counts once.
    live.provider.basis = { ...live.provider.basis, asOf: S4 };
    expect(await live.night(S4)).toMatchObject({ failed: 0, rowsRevised: 0, rowsInserted: 24 });
  });

  it('a split nobody told of stops the symbol instead of revising its history', async () => {
    live.settings = { historySessions: 4 };
    await live.night(S2);
    rebase('SF', halve);
    const result = await live.night(S3);
    expect(result).toMatchObject({ failed: 1, rowsRevised: 0 });
    expect(result['failures']).toMatchObject([
      { symbol: 'SF', reason: expect.stringContaining('differ by the factor 0.500000') as string },
    ]);
  });

  function rebase(symbol: string, change: (row: Row) => Row): void {
    for (const [session, row] of live.provider.rows.get(symbol) ?? [])
      live.provider.set(symbol, session, change(row));
  }
});

describe('impossible rows', () => {
  it('go to quarantine as delivered, and a usable bar later settles them', async () => {
    live.provider.set('SG', S2, [10, 9, 11, 10, 5]);
    live.provider.set('SH', S2, [Number.NaN, 11, 9, 10, 5]);
    live.provider.set('SI', `${S2} again`, bar(1));
    const result = await live.night(S2);
    expect(result).toMatchObject({ quarantined: 3, coverage: { withBar: 21 } });
    const rows = await live.house.sql`
      select symbol, codes, raw, status, price_basis from market.quarantine order by symbol`;
    expect(rows).toMatchObject([
      { symbol: 'SG', codes: ['ohlcOrder'], raw: [{ open: 10, high: 9, low: 11, close: 10, volume: 5 }] },
      { symbol: 'SH', codes: ['nullPrice'], raw: [{ open: null, high: 11 }] },
      { symbol: 'SI', codes: ['duplicateSession'], raw: [{}, {}] },
    ]);
    const print = await live.house.fingerprint();
    expect(await live.night(S2)).toMatchObject({ rowsChanged: 0, quarantined: 3 });
    expect(await live.house.fingerprint()).toEqual(print);
    live.provider.set('SG', S2, bar(26));
    await live.night(S3);
    const [settled] = await live.house
      .sql`select status, decided_by from market.quarantine where symbol = 'SG'`;
    expect(settled).toEqual({ status: 'rejected', decidedBy: 'ingestion' });
    expect(await live.asOf('SG', S2)).toHaveLength(2);
    expect((await live.asOf('SG', S3)).at(-2)).toBe(26 * 1.002);
  });

  it('are released or rejected by a named person, and released ones change no past night', async () => {
    live.provider.set('SG', S2, [10, 9, 11, 10, 5]);
    await live.night(S2);
    const key = { symbol: 'SG', sessionDate: S2, provider: 'first', by: 'ann', why: 'checked by phone' };
    const decision = { ...key, row: null, workflowId: 'quarantine/SG' };
    const before = await live.asOf('SG', S2);
    live.at(S3);
    await live.house.decisions.decideQuarantine({ ...decision, decision: 'release' });
    expect(await live.asOf('SG', S2)).toEqual(before);
    const [row] = await live.house
      .sql`select close from market.bars where symbol = 'SG' and session_date = ${S2}`;
    expect(row).toEqual({ close: 10 });
    const [audit] = await live.house.sql`select actor, action, why, role from ops.audit`;
    expect(audit).toEqual({
      actor: 'ann',
      action: 'quarantine.released',
      why: 'checked by phone',
      role: 'nightshift_ingest',
    });
    await expect(live.house.decisions.decideQuarantine({ ...decision, decision: 'reject' })).rejects.toThrow(
      'was released by ann',
    );
  });
});

describe('doubtful rows', () => {
  it('two symbols with the same data are flagged, for this member list only', async () => {
    for (const [day, session] of SESSIONS.entries()) {
      const same = bar(40 + day * 0.3, 123_456 + day);
      live.provider.set('SJ', session, same);
      live.provider.set('SK', session, same);
    }
    live.settings = { historySessions: 6 };
    const result = await live.night(S4);
    expect(result).toMatchObject({ flagsByKind: { identicalSeries: 12 } });
    const flags = await live.house.sql`
      select distinct symbol, scope, available_session from market.bar_flags where kind = 'identicalSeries'
      order by symbol, available_session`;
    const [run] = await live.house.sql`select universe_version as version from ops.task_runs limit 1`;
    expect(new Set(flags.map((row) => row['symbol']))).toEqual(new Set(['SJ', 'SK']));
    expect(new Set(flags.map((row) => row['scope']))).toEqual(new Set([run?.['version']]));
    const { sql } = live.house.db('pipeline');
    const usable = async (universeVersion?: string): Promise<number> => {
      const { symbols } = await readBars(sql, {
        symbols: ['SJ'],
        throughSession: S4,
        cutoff: await nightCutoff(sql, S4),
        ...(universeVersion !== undefined && { universeVersion }),
      });
      return symbols.get('SJ')?.flagged.filter((flag) => flag === 0).length ?? 0;
    };
    expect(await usable()).toBe(6);
    expect(await usable(String(run?.['version']))).toBe(0);
  });

  it('a doubt is settled from the session on that revises the bar', async () => {
    live.provider.set('SL', S1, [Number.NaN, 1, 1, 1, 1]);
    live.provider.set('SM', S1, [20, 20.2, 19.8, 20, 0]);
    await live.night(S1);
    await live.night(S2);
    const flag = () => live.house.sql`
      select kind, resolved_session from market.bar_flags where symbol = 'SM' and kind = 'zeroVolume'`;
    expect(await flag()).toEqual([{ kind: 'zeroVolume', resolvedSession: null }]);
    live.provider.set('SM', S1, bar(20));
    await live.night(S3);
    expect(await flag()).toEqual([{ kind: 'zeroVolume', resolvedSession: S3 }]);
  });
});
