import { adx, ema, macd } from '../../indicators.ts';
import { nanArray } from '../../rolling.ts';
import { emaSettled, wilderSettled } from '../settling.ts';
import { symbolFeatures } from '../types.ts';
import { availableMean, combine } from '../windows.ts';

const gap = (a: number, b: number): number => a / b - 1;

/** R squared of the straight line through the logarithms of each window, with the sign of its slope. */
function signedFit(close: Float64Array, sessions: number): Float64Array {
  const logs = close.map(Math.log);
  const out = nanArray(close.length);
  const middle = (sessions - 1) / 2;
  const timeSquares = (sessions * (sessions * sessions - 1)) / 12;
  for (let end = sessions - 1; end < out.length; end += 1) {
    const first = end - sessions + 1;
    const centre = logs[end]!;
    let sum = 0;
    let squares = 0;
    let products = 0;
    for (let k = 0; k < sessions; k += 1) {
      const y = logs[first + k]! - centre;
      sum += y;
      squares += y * y;
      products += (k - middle) * y;
    }
    const total = squares - (sum * sum) / sessions;
    out[end] = (Math.sign(products) * (products * products)) / (timeSquares * total);
  }
  return out;
}

export const TREND = symbolFeatures('trend', [
  {
    name: 'smaGap50',
    definition: 'c / mean(c, 50) - 1',
    lookbackSessions: 49,
    unit: 'ratio',
    compute: ({ close }) => combine(close, availableMean(close, 50), gap),
  },
  {
    name: 'smaGap200',
    definition: 'c / mean(c, 200) - 1',
    lookbackSessions: 199,
    unit: 'ratio',
    compute: ({ close }) => combine(close, availableMean(close, 200), gap),
  },
  {
    name: 'smaCross50to200',
    definition: 'mean(c, 50) / mean(c, 200) - 1',
    lookbackSessions: 199,
    unit: 'ratio',
    compute: ({ close }) => combine(availableMean(close, 50), availableMean(close, 200), gap),
  },
  {
    name: 'emaGap21',
    definition: 'c / EMA(c, 21) - 1',
    lookbackSessions: 20,
    warmupSessions: 20 + emaSettled(21),
    unit: 'ratio',
    compute: ({ close, bridged }) => combine(close, ema(bridged.close, 21), gap),
  },
  {
    name: 'macdHistogram',
    definition: 'MACD(12, 26, 9) histogram / c',
    lookbackSessions: 33,
    // A difference of differences: two more digits than the averages it is made of.
    warmupSessions: 33 + emaSettled(26, 1e-12),
    unit: 'ratio',
    compute: ({ close, bridged }) => combine(macd(bridged.close).histogram, close, (x, c) => x / c),
  },
  {
    name: 'adx14',
    definition: 'ADX(14) of ln(h), ln(l), ln(c)',
    lookbackSessions: 27,
    // An average of averages: the start fades like n / 14 times one Wilder average.
    warmupSessions: 27 + wilderSettled(14, 1e-12),
    unit: 'percent',
    // In dollars, up and down moves tie to the cent every few bars, and rounding would decide the direction.
    compute: ({ bridged: { high, low, close } }) =>
      adx(high.map(Math.log), low.map(Math.log), close.map(Math.log), 14),
  },
  {
    name: 'trendFit63',
    definition: 'R squared of ln(c) against time over 63 sessions, signed by the slope',
    lookbackSessions: 62,
    unit: 'share',
    compute: ({ bridged }) => signedFit(bridged.close, 63),
  },
]);
