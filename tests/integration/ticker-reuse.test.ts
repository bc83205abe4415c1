import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { buildDataset } from '../../src/activities/compute/build-dataset.ts';
import type { MarketPanel } from '../../src/activities/datasets/market-panel.ts';
import { openEvents } from '../../src/db/queries/events.ts';
import { BAR_STATES } from '../../src/domain/labels.ts';
import { readSessionTable, XNYS_CALENDAR_FILE } from '../../src/providers/calendar-file.ts';
import { projectRoot } from '../../scripts/lib/paths.mjs';
import { IngestionHouse } from './ingestion-house.ts';
import { panelOf } from './live-market.ts';
import { bar, ScriptedProvider } from './scripted-provider.ts';

const [BACK, S1, S2, S3] = ['2018-01-29', '2018-01-30', '2018-01-31', '2018-02-01'] as const;
/** The ticker REUSED ends here and means somebody else from BACK on; HALTED pauses for ten sessions. */
const GONE = '2017-11-01';
const SYMBOLS = ['HALTED', 'OTHER', 'REUSED'];
const settings = { historySessions: 80 };
const universe = 'live';
const WORDS =
  'REUSED had no bar for 58 sessions between 2017-11-01 and 2018-01-29: is it still the same company?';

let house: IngestionHouse;

beforeEach(async () => {
  const provider = new ScriptedProvider('first');
  const table = await readSessionTable(join(projectRoot, XNYS_CALENDAR_FILE));
  const sessions = table
    .map(({ sessionDate }) => sessionDate)
    .filter((session) => session >= '2017-10-02' && session <= S3);
  const halted = new Set(sessions.slice(30, 40));
  for (const [day, session] of sessions.entries()) {
    provider.set('OTHER', session, bar(50 + day * 0.1));
    if (!halted.has(session)) provider.set('HALTED', session, bar(20 + day * 0.1));
    if (session <= GONE) provider.set('REUSED', session, bar(4 + day * 0.01));
    if (session >= BACK) provider.set('REUSED', session, bar(90 + day * 0.1));
  }
  house = await IngestionHouse.open([provider]);
});
afterEach(() => house.close());

async function night(sessionDate: string) {
  house.now = new Date(Date.parse(`${sessionDate}T00:00:00Z`) + 27.75 * 3_600_000);
  return await house.night({ universe, sessionDate, symbols: SYMBOLS, settings });
}
const panelAt = (sessionDate: string, own: Record<string, unknown> = settings): Promise<MarketPanel> =>
  panelOf(house, { universe, sessionDate, symbols: SYMBOLS, settings: own });
/** How many bars of the symbol are in the panel, and how many of them count. */
const barsOf = ({ symbols, states }: MarketPanel, symbol = 'REUSED') => {
  const column = [...(states[symbols.indexOf(symbol)] ?? [])];
  return {
    there: column.filter((state) => state !== BAR_STATES.missing).length,
    usable: column.filter((state) => state === BAR_STATES.usable).length,
  };
};
const decide = async (decision: 'release' | 'reject') => {
  house.now = new Date(`${S2}T20:00:00Z`);
  const key = { symbol: 'REUSED', sessionDate: BACK, subject: 'gap', provider: 'first', row: null };
  return await house.decisions.decideQuarantine({
    ...key,
    decision,
    by: 'Ann',
    why: 'looked it up',
    workflowId: 'w',
  });
};

describe('a ticker after a long gap', () => {
  it('is held and not joined until a person decides, with the reason', async () => {
    const result = await night(S1);
    expect(result).toMatchObject({
      failed: 0,
      reviewsOpen: 1,
      reviews: [{ symbol: 'REUSED', sessionDate: BACK, subject: 'gap', reason: WORDS }],
    });
    const events =
      await house.sql`select subject, details ->> 'words' as words from ops.events where kind = 'gap.found'`;
    expect(events).toEqual([{ subject: 'REUSED', words: WORDS }]);
    const panel = await panelAt(S1);
    expect(barsOf(panel)).toEqual({ there: 2, usable: 0 });
    expect(barsOf(panel, 'HALTED')).toEqual({ there: 70, usable: 70 });
    expect(panel.held).toEqual([
      { symbol: 'REUSED', reason: `held: ${WORDS} (\`nightshift quarantine list\`)` },
    ]);
    const { coverage } = await buildDataset(
      {
        panel,
        universe,
        universeVersion: 'v',
        settings: {
          labelKind: 'direction',
          horizonSessions: 1,
          blocks: 1,
          blockMonths: 1,
          minTrainSessions: 20,
          trainWindowSessions: 60,
        },
      },
      () => undefined,
    );
    expect(coverage.notScored).toEqual(panel.held);
    // A window that begins after the gap knows of it too.
    expect((await panelAt(S1, { historySessions: 2 })).held).toEqual(panel.held);
    const print = await house.fingerprint();
    await night(S1);
    expect(await house.fingerprint()).toEqual(print);
    expect(await house.sql`select 1 from ops.events where kind = 'gap.found'`).toHaveLength(1);
  });

  it('released, is one series again for the nights after', async () => {
    await night(S1);
    await decide('release');
    expect(await night(S2)).toMatchObject({ reviewsOpen: 0 });
    const panel = await panelAt(S2);
    expect(panel.held).toBeUndefined();
    const { there, usable } = barsOf(panel);
    expect(there).toBe(usable);
    expect(there).toBeGreaterThan(20);
    expect(barsOf(await panelAt(S1))).toEqual({ there: 2, usable: 0 });
    expect(await openEvents(house.sql, 'gap.decided')).toMatchObject([
      { subject: 'REUSED', sessionDate: BACK, details: { status: 'released' } },
    ]);
  });

  it('rejected, is another company that begins after the gap', async () => {
    await night(S1);
    await decide('reject');
    expect(await night(S2)).toMatchObject({ reviewsOpen: 0 });
    const panel = await panelAt(S2);
    expect(panel.held).toBeUndefined();
    expect(barsOf(panel)).toEqual({ there: 3, usable: 3 });
    // Not listed before: it lacks no return there.
    const listedFrom = panel.listedFrom?.[panel.symbols.indexOf('REUSED')] ?? -1;
    expect(panel.sessions[listedFrom]).toBe(BACK);
    expect((await panelAt(S1)).held).toHaveLength(1);
  });

  it('whose missing bars come later asks nobody any more', async () => {
    await night(S1);
    await house.sql`
      insert into market.bars
      select 'REUSED', session_date, open, high, low, close, volume, available_at, source_id, state, revision
      from market.bars where symbol = 'OTHER' and session_date > ${GONE} and session_date < ${BACK}`;
    expect(await night(S2)).toMatchObject({ reviewsOpen: 0 });
    const [row] = await house.sql`select status, decided_by from market.quarantine where subject = 'gap'`;
    expect(row).toEqual({ status: 'rejected', decidedBy: 'ingestion' });
    // What ingestion closed itself is no word about the company.
    expect((await panelAt(S2)).held).toBeUndefined();
    expect(barsOf(await panelAt(S2)).usable).toBeGreaterThan(70);
  });
});
