import type { ApiDeps } from '../api/deps.ts';
import { Problem } from '../api/problems.ts';
import { finite, ingestedRun, knownBars } from '../api/symbol-values.ts';
import type { Adjustment } from '../domain/adjustment.ts';
import { sessionDateOf } from '../domain/bars.ts';

export type PriceLine = {
  sessions: string[];
  close: (number | null)[];
  /** Bars that are left out, because somebody doubts them. */
  doubtful: number;
  /** Date of the share units of the prices; null: each as it was delivered. */
  units: string | null;
  /** Why all bars wait for a person's decision; null: they do not. */
  held: string | null;
};

/** One symbol's closes as the night of a session knew them; null where one is doubted. In words where there are none. */
export async function readPriceLine(
  deps: Pick<ApiDeps, 'sql'>,
  input: { symbol: string; session: string; universe: string; adjust: Adjustment },
): Promise<PriceLine | { problem: string }> {
  const { symbol, session, universe, adjust } = input;
  try {
    const run = await ingestedRun(deps, { session, universe });
    const { stored, prices, units, firstRow, held } = await knownBars(deps, { symbol, run, adjust });
    const doubts = stored.flagged.subarray(firstRow);
    return {
      sessions: Array.from(stored.bars.epochDays.subarray(firstRow), sessionDateOf),
      close: Array.from(prices.close.subarray(firstRow), (value, row) =>
        doubts[row] === 1 ? null : finite(value),
      ),
      doubtful: doubts.reduce((sum, flag) => sum + flag, 0),
      units,
      held,
    };
  } catch (error) {
    if (error instanceof Problem && ['not-found', 'conflict'].includes(error.kind))
      return { problem: error.message };
    throw error;
  }
}
