import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import type { MarketPanel } from '../../src/activities/datasets/market-panel.ts';
import { epochDayOf, lowerBound } from '../../src/domain/bars.ts';
import { createCalendar } from '../../src/domain/calendar.ts';
import { BAR_STATES } from '../../src/domain/labels.ts';
import { BAR_DOUBTFUL, BAR_IMPOSSIBLE, BAR_OK } from '../../src/domain/validation/types.ts';
import { validateBars } from '../../src/domain/validation/validate.ts';
import { readSessionTable, XNYS_CALENDAR_FILE, XNYS_TIME_ZONE } from '../../src/providers/calendar-file.ts';
import { sharedArchive } from './sample-archive.ts';

const FIRST = '2013-02-08';
const LAST = '2018-02-07';
const FIELDS = ['open', 'high', 'low', 'close', 'volume'] as const;

/** What a validated row is in a panel. */
const STATES: Record<number, number> = {
  [BAR_OK]: BAR_STATES.usable,
  [BAR_DOUBTFUL]: BAR_STATES.flagged,
  [BAR_IMPOSSIBLE]: BAR_STATES.quarantined,
};

/**
 * The panel of a bundled universe as the night of the last session knew it, straight from the archive: all symbols
 * validated against each other as ingestion does, doubtful and impossible bars with their state.
 */
export async function readSamplePanel(input: { universe: string; root: URL }): Promise<MarketPanel> {
  const { universe, root } = input;
  const table = await readSessionTable(new URL(XNYS_CALENDAR_FILE, root));
  const calendar = createCalendar({ exchange: 'XNYS', timeZone: XNYS_TIME_ZONE, sessions: table });
  const archive = sharedArchive(fileURLToPath(new URL('data/sample', root)));
  const { symbols: all } = await archive.coverage();
  const results = await archive.bars({ symbols: all ?? [], from: FIRST, to: LAST, asOfSession: LAST });
  const bars = results.flatMap((result) => (result.ok ? [result.value.bars] : []));
  const report = validateBars({ bars, sessions: calendar.epochDays, revealedThrough: LAST });
  const sessions = [...calendar.sessionsBetween(FIRST, LAST)];
  const days = Int32Array.from(sessions, epochDayOf);
  const symbols = (await membersOf(universe, root)).toSorted();
  const column = (): Float64Array[] => symbols.map(() => new Float64Array(sessions.length).fill(Number.NaN));
  const panel: MarketPanel = {
    sessions,
    symbols,
    open: column(),
    high: column(),
    low: column(),
    close: column(),
    volume: column(),
    states: symbols.map(() => new Uint8Array(sessions.length).fill(BAR_STATES.missing)),
    cutoff: `${LAST}T23:59:59Z`,
    survivorship: 'biased',
  };
  for (const [i, one] of bars.entries()) {
    const member = symbols.indexOf(one.symbol);
    if (member < 0) continue;
    for (let row = 0; row < one.epochDays.length; row += 1) {
      const session = lowerBound(days, one.epochDays[row] ?? 0);
      if (days[session] !== one.epochDays[row]) continue;
      const state = STATES[report.symbols[i]?.states[row] ?? BAR_IMPOSSIBLE] ?? BAR_STATES.quarantined;
      (panel.states[member] ?? [])[session] = state;
      if (state === BAR_STATES.quarantined) continue;
      for (const field of FIELDS) (panel[field][member] ?? [])[session] = one[field][row] ?? Number.NaN;
    }
  }
  return panel;
}

async function membersOf(universe: string, root: URL): Promise<string[]> {
  const file = new URL(`data/sample/universes/${universe}.json`, root);
  return z.object({ symbols: z.array(z.string()) }).parse(JSON.parse(await readFile(file, 'utf8'))).symbols;
}
