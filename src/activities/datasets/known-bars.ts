import type { Queryable } from '../../db/client.ts';
import { type BarSource, readBars, type StoredBars } from '../../db/queries/bars.ts';
import { readCorporateActions } from '../../db/queries/reference.ts';
import { nightCutoff, readCalendarDates } from '../../db/queries/sessions.ts';
import type { Adjustment } from '../../domain/adjustment.ts';
import { epochDayOf, lowerBound, sessionDateOf } from '../../domain/bars.ts';
import { gapWords } from '../../domain/validation/gaps.ts';
import type { SplitRules } from '../../domain/validation/splits.ts';
import { knownSplits, knownValidity, readKnownDecisions } from '../revisions/as-known.ts';
import { type Adjusted, adjustStored, adjustStoredTotal, shareUnits } from './adjust-stored.ts';

export type KnownBars = {
  stored: StoredBars;
  sources: ReadonlyMap<number, BarSource>;
  prices: Adjusted;
  /** Date of the share units of the prices; null: each row's own basis. */
  units: string | null;
  /** First row that is of this company for all that is known. */
  firstRow: number;
  /** Why all bars count as doubtful until a person decides; null: they do not. */
  held: string | null;
};

/**
 * One symbol's bars as the night of a session knew them, adjusted as its features were or otherwise. Null where it
 * knew none. RangeError where no later session is stored, or for a dividend that is not below the price.
 */
export async function readKnownBars(
  sql: Queryable,
  input: {
    symbol: string;
    session: string;
    universeVersion: string;
    rules: SplitRules & { maxGapSessions: number };
    adjust: Adjustment;
  },
): Promise<KnownBars | null> {
  const { symbol, session, universeVersion, rules, adjust } = input;
  const symbols = [symbol];
  const cutoff = await nightCutoff(sql, session);
  const known = await readBars(sql, { symbols, throughSession: session, cutoff, universeVersion });
  const stored = known.symbols.get(symbol);
  if (stored === undefined) return null;
  const { epochDays } = stored.bars;
  const decisions = await readKnownDecisions(sql, { symbols, cutoff });
  const days = Int32Array.from(
    await readCalendarDates(sql, { from: sessionDateOf(epochDays[0] ?? 0), through: session }),
    epochDayOf,
  );
  const validity = knownValidity({
    stored,
    previousBar: undefined,
    sessionIndexOf: (day) => {
      const position = lowerBound(days, day);
      return days[position] === day ? position : -1;
    },
    maxGapSessions: rules.maxGapSessions,
    decisions,
  });
  const place = {
    firstRow: validity.from === null ? 0 : lowerBound(epochDays, epochDayOf(validity.from)),
    held: validity.held === null ? null : gapWords(symbol, validity.held),
  };
  const used = new Set(stored.sourceIds);
  const sources = new Map([...known.sources].filter(([id]) => used.has(id)));
  if (adjust === 'raw') return { stored, sources, prices: stored.bars, units: null, ...place };
  const units = shareUnits(sources.values(), session);
  const actions = await readCorporateActions(sql, { symbols, throughSession: session, unitsThrough: units });
  const { splits = [], dividends = [] } = actions.get(symbol) ?? {};
  const applied = knownSplits({ stored, sources, splits, rules, decisions });
  const adjustable = { stored, sources, actions: { splits: applied, dividends }, units };
  const prices = adjust === 'splits' ? adjustStored(adjustable) : adjustStoredTotal(adjustable);
  return { stored, sources, prices, units, ...place };
}
