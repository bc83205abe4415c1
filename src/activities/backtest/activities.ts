import type { BacktestActivities } from '../../contracts/activities.ts';
import type { ActivityDeps } from '../deps.ts';
import { classifyErrors } from '../errors.ts';
import { maturePredictions } from './mature.ts';
import { runBacktest } from './run-backtest.ts';

/** Activities of the backtest task besides the shared fits; each may run again at any time. */
export function createBacktestActivities(deps: ActivityDeps): BacktestActivities {
  return classifyErrors({
    maturePredictions: (step: Parameters<BacktestActivities['maturePredictions']>[0]) =>
      maturePredictions(deps, step),
    runBacktest: (step: Parameters<BacktestActivities['runBacktest']>[0]) => runBacktest(deps, step),
  });
}
