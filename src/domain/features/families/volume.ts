import { mfi, obv } from '../../indicators.ts';
import { rollingSum } from '../../rolling.ts';
import { symbolFeatures } from '../types.ts';
import { availableMean, combine, lagged } from '../windows.ts';

const logRatio = (a: number, b: number): number => Math.log(a / b);

export const VOLUME = symbolFeatures('volume', [
  {
    name: 'volumeRatio1to21',
    definition: 'ln(v / mean(v, 21))',
    lookbackSessions: 20,
    unit: 'logRatio',
    compute: ({ volume }) => combine(volume, availableMean(volume, 21), logRatio),
  },
  {
    name: 'volumeRatio5to63',
    definition: 'ln(mean(v, 5) / mean(v, 63))',
    lookbackSessions: 62,
    unit: 'logRatio',
    compute: ({ volume }) => combine(availableMean(volume, 5), availableMean(volume, 63), logRatio),
  },
  {
    name: 'obvShare21',
    definition: '(OBV - OBV[-21]) / sum(v, 21)',
    lookbackSessions: 21,
    unit: 'share',
    compute: ({ bridged: { close, volume } }) => {
      const balance = obv(close, volume);
      const change = combine(balance, lagged(balance, 21), (now, before) => now - before);
      return combine(change, rollingSum(volume, 21), (a, b) => a / b);
    },
  },
  {
    name: 'mfi14',
    definition: 'MFI(14) of closes',
    lookbackSessions: 14,
    unit: 'percent',
    // Typical prices tie to the cent, and rounding would decide the direction; equal closes are equal.
    compute: ({ bridged: { close, volume } }) => mfi(close, close, close, volume, 14),
  },
  {
    name: 'illiquidity21',
    definition: 'Amihud illiquidity: ln of mean(|ln(c / c[-1])| / (c v), 21)',
    lookbackSessions: 21,
    unit: 'logPerDollar',
    compute: ({ returns, dollarVolume }) =>
      availableMean(
        combine(returns, dollarVolume, (r, dollars) => (dollars > 0 ? Math.abs(r) / dollars : Number.NaN)),
        21,
      ).map(Math.log),
  },
  {
    name: 'dollarVolume21',
    definition: 'ln of mean(c v, 21)',
    lookbackSessions: 20,
    unit: 'logDollars',
    compute: ({ dollarVolume }) => availableMean(dollarVolume, 21).map(Math.log),
  },
]);
