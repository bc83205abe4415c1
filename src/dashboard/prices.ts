import { adjustStored, shareUnits } from '../activities/datasets/adjust-stored.ts';
import { knownSplits, readKnownDecisions } from '../activities/revisions/as-known.ts';
import type { EffectiveConfig } from '../contracts/schemas/config.ts';
import type { Queryable } from '../db/client.ts';
import { readBars } from '../db/queries/bars.ts';
import { readCorporateActions } from '../db/queries/reference.ts';
import { nightCutoff } from '../db/queries/sessions.ts';
import { sessionDateOf } from '../domain/bars.ts';

export type PriceLine = {
  sessions: string[];
  close: (number | null)[];
  volume: (number | null)[];
  /** Rows that count as missing, because somebody doubts them. */
  doubtful: number;
  /** Date of the share units of the prices. */
  units: string;
};

/** One symbol's closes as the night of a session knew them, adjusted for splits; null where it knew none. */
export async function readPriceLine(
  sql: Queryable,
  input: { symbol: string; session: string; universeVersion: string; rules: EffectiveConfig['data'] },
): Promise<PriceLine | null> {
  const { symbol, session, universeVersion, rules } = input;
  const symbols = [symbol];
  const cutoff = await nightCutoff(sql, session);
  const known = await readBars(sql, { symbols, throughSession: session, cutoff, universeVersion });
  const stored = known.symbols.get(symbol);
  if (stored === undefined) return null;
  const used = new Set(stored.sourceIds);
  const sources = new Map([...known.sources].filter(([id]) => used.has(id)));
  const units = shareUnits(sources.values(), session);
  const actions = await readCorporateActions(sql, { symbols, throughSession: session, unitsThrough: units });
  const { splits = [], dividends = [] } = actions.get(symbol) ?? {};
  const decisions = await readKnownDecisions(sql, { symbols, cutoff });
  const applied = knownSplits({ stored, sources, splits, rules, decisions });
  const prices = adjustStored({ stored, sources, actions: { splits: applied, dividends }, units });
  const usable = (values: Float64Array): (number | null)[] =>
    Array.from(values, (value, row) => (stored.flagged[row] === 1 || Number.isNaN(value) ? null : value));
  return {
    sessions: Array.from(stored.bars.epochDays, sessionDateOf),
    close: usable(prices.close),
    volume: usable(prices.volume),
    doubtful: stored.flagged.reduce((sum, flag) => sum + flag, 0),
    units,
  };
}
