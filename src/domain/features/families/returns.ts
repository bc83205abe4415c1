import { symbolFeatures } from '../types.ts';
import { availableMean, combine, lagged } from '../windows.ts';

const logReturn = (close: Float64Array, sessions: number): Float64Array =>
  combine(close, lagged(close, sessions), (now, before) => Math.log(now / before));

export const RETURNS = symbolFeatures('returns', [
  {
    name: 'ret1',
    definition: 'ln(c / c[-1])',
    lookbackSessions: 1,
    unit: 'logReturn',
    compute: ({ returns }) => returns,
  },
  {
    name: 'ret5',
    definition: 'ln(c / c[-5])',
    lookbackSessions: 5,
    unit: 'logReturn',
    compute: ({ close }) => logReturn(close, 5),
  },
  {
    name: 'ret21',
    definition: 'ln(c / c[-21])',
    lookbackSessions: 21,
    unit: 'logReturn',
    compute: ({ close }) => logReturn(close, 21),
  },
  {
    name: 'overnightRet1',
    definition: 'ln(o / c[-1])',
    lookbackSessions: 1,
    unit: 'logReturn',
    compute: ({ overnight }) => overnight,
  },
  {
    name: 'intradayRet1',
    definition: 'ln(c / o)',
    lookbackSessions: 0,
    unit: 'logReturn',
    compute: ({ open, close }) => combine(close, open, (c, o) => Math.log(c / o)),
  },
  {
    name: 'overnightMean21',
    definition: 'mean of ln(o / c[-1]) over 21 sessions',
    lookbackSessions: 21,
    unit: 'logReturn',
    compute: ({ overnight }) => availableMean(overnight, 21),
  },
]);
