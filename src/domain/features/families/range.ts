import { wilderSettled } from '../settling.ts';
import { symbolFeatures } from '../types.ts';
import { availableMax, availableMean, availableMin, combine, lagged } from '../windows.ts';

export const RANGE = symbolFeatures('range', [
  {
    name: 'range1',
    definition: 'ln(h / l)',
    lookbackSessions: 0,
    unit: 'logReturn',
    compute: ({ logRange }) => logRange,
  },
  {
    name: 'closeLocation1',
    definition: '(c - l) / (h - l)',
    lookbackSessions: 0,
    unit: 'share',
    compute: ({ high, low, close }) => close.map((c, i) => (c - low[i]!) / (high[i]! - low[i]!)),
  },
  {
    name: 'rangeRatio1to21',
    definition: 'ln(h / l) / mean(ln(h / l), 21)',
    lookbackSessions: 20,
    unit: 'ratio',
    compute: ({ logRange }) => combine(logRange, availableMean(logRange, 21), (x, mean) => x / mean),
  },
  {
    name: 'gapToAtr14',
    definition: '(o - c[-1]) / ATR(14)[-1]',
    lookbackSessions: 15,
    warmupSessions: 15 + wilderSettled(14),
    unit: 'ratio',
    compute: ({ open, close, atr14 }) => {
      const before = lagged(close, 1);
      const reach = lagged(atr14, 1);
      return open.map((o, i) => (o - before[i]!) / reach[i]!);
    },
  },
  {
    name: 'bandPosition20',
    definition: '(c - middle) / (upper - middle) of the Bollinger bands (20, 2)',
    lookbackSessions: 19,
    unit: 'deviations',
    compute: ({ close, bands20: { middle, upper } }) =>
      close.map((c, i) => (c - middle[i]!) / (upper[i]! - middle[i]!)),
  },
  {
    name: 'highGap252',
    definition: 'c / max(h, 252) - 1',
    lookbackSessions: 251,
    unit: 'ratio',
    compute: ({ close, high }) => combine(close, availableMax(high, 252), (c, top) => c / top - 1),
  },
  {
    name: 'lowGap252',
    definition: 'c / min(l, 252) - 1',
    lookbackSessions: 251,
    unit: 'ratio',
    compute: ({ close, low }) => combine(close, availableMin(low, 252), (c, bottom) => c / bottom - 1),
  },
]);
