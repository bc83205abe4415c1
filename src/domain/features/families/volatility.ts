import { wilderSettled } from '../settling.ts';
import { symbolFeatures } from '../types.ts';
import { availableDeviation, availableMean, combine } from '../windows.ts';

export const VOLATILITY = symbolFeatures('volatility', [
  {
    name: 'vol21',
    definition: 'standard deviation of ln(c / c[-1]) over 21 sessions',
    lookbackSessions: 21,
    unit: 'logReturn',
    compute: ({ returns }) => availableDeviation(returns, 21),
  },
  {
    name: 'vol63',
    definition: 'standard deviation of ln(c / c[-1]) over 63 sessions',
    lookbackSessions: 63,
    unit: 'logReturn',
    compute: ({ returns }) => availableDeviation(returns, 63),
  },
  {
    name: 'volRatio10to63',
    definition: 'ln of the standard deviation of ln(c / c[-1]) over 10 sessions by that over 63',
    lookbackSessions: 63,
    unit: 'logRatio',
    compute: ({ returns }) =>
      combine(availableDeviation(returns, 10), availableDeviation(returns, 63), (a, b) => Math.log(a / b)),
  },
  {
    name: 'atrRatio14',
    definition: 'ATR(14) / c',
    lookbackSessions: 14,
    warmupSessions: 14 + wilderSettled(14),
    unit: 'ratio',
    compute: ({ atr14, close }) => combine(atr14, close, (a, c) => a / c),
  },
  {
    name: 'parkinson21',
    definition: 'Parkinson volatility: root of mean(ln(h / l)^2, 21) / (4 ln 2)',
    lookbackSessions: 20,
    unit: 'logReturn',
    compute: ({ logRange }) =>
      availableMean(
        logRange.map((x) => x * x),
        21,
      ).map((x) => Math.sqrt(x / (4 * Math.LN2))),
  },
  {
    name: 'bandWidth20',
    definition: 'width of the Bollinger bands (20, 2) / their middle',
    lookbackSessions: 19,
    unit: 'ratio',
    compute: ({ bands20 }) =>
      bands20.upper.map((upper, i) => (upper - bands20.lower[i]!) / bands20.middle[i]!),
  },
]);
