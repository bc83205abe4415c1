import type { StoredReturns } from '../../db/queries/backtests.ts';
import type { EarlierTrial, ReturnSeries } from '../../domain/backtest/overfitting.ts';

/** Stored returns by trial, in the order in which they come: newest trial first. */
export function earlierTrials(rows: readonly StoredReturns[]): EarlierTrial[] {
  const trials = new Map<string, ReturnSeries[]>();
  for (const { trialKey, series, sessions, net } of rows) {
    const known = trials.get(trialKey) ?? [];
    trials.set(trialKey, known);
    known.push({ name: series, sessions, net: Float64Array.from(net) });
  }
  return [...trials].map(([trial, series]) => ({ trial, series }));
}
