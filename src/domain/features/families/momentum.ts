import { cci, rsi, stochastic } from '../../indicators.ts';
import { wilderSettled } from '../settling.ts';
import { symbolFeatures } from '../types.ts';
import { availableMean, combine, lagged } from '../windows.ts';

const logRatio = (a: number, b: number): number => Math.log(a / b);

export const MOMENTUM = symbolFeatures('momentum', [
  {
    name: 'mom63',
    definition: 'ln(c / c[-63])',
    lookbackSessions: 63,
    unit: 'logReturn',
    compute: ({ close }) => combine(close, lagged(close, 63), logRatio),
  },
  {
    name: 'mom126',
    definition: 'ln(c / c[-126])',
    lookbackSessions: 126,
    unit: 'logReturn',
    compute: ({ close }) => combine(close, lagged(close, 126), logRatio),
  },
  {
    name: 'mom252to21',
    definition: 'ln(c[-21] / c[-252])',
    lookbackSessions: 252,
    unit: 'logReturn',
    compute: ({ close }) => combine(lagged(close, 21), lagged(close, 252), logRatio),
  },
  {
    name: 'rsi14',
    definition: 'RSI(14)',
    lookbackSessions: 14,
    warmupSessions: 14 + wilderSettled(14),
    unit: 'percent',
    compute: ({ bridged }) => rsi(bridged.close, 14),
  },
  {
    name: 'stochasticD14',
    definition: 'slow %D of the stochastic (14, 3, 3)',
    lookbackSessions: 17,
    unit: 'percent',
    compute: ({ bridged: { high, low, close } }) =>
      stochastic(high, low, close, { fastK: 14, slowK: 3, slowD: 3 }).d,
  },
  {
    name: 'cci20',
    definition: 'CCI(20)',
    lookbackSessions: 19,
    unit: 'deviations',
    compute: ({ bridged: { high, low, close } }) => cci(high, low, close, 20),
  },
  {
    name: 'upShare21',
    definition: 'share of sessions with c > c[-1] among the last 21',
    lookbackSessions: 21,
    unit: 'share',
    compute: ({ returns }) =>
      availableMean(
        returns.map((x) => (Number.isNaN(x) ? x : Number(x > 0))),
        21,
      ),
  },
]);
