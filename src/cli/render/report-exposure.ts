import type { ReportExposure, RunReport } from '../../contracts/schemas/report.ts';
import { formatNumber } from './format.ts';
import { percent } from './values.ts';

type Backtest = NonNullable<RunReport['backtest']>;
type Difference = ReportExposure['beta']['difference'];

/** Sectors named; all of them stand in the JSON. */
const MAX_SECTORS = 4;
/** A smaller difference of shares is no tilt. */
const SMALLEST_TILT = 0.005;

/** What the stack's top decile holds more and less of than all scored symbols do; nothing for an older night. */
export function exposureLines({ models = [] }: Backtest): string[] {
  const exposure = models.find(({ model }) => model === 'meta')?.topDecileExposure;
  if (exposure === undefined) return [];
  if (exposure === null) return ['top decile of the stack: none, it has no predictions out of sample yet'];
  return [
    `top decile of the stack beside all scored symbols: ${betaWords(exposure)}; ${sizeWords(exposure)}; ` +
      sectorWords(exposure),
  ];
}

function betaWords({ beta: { top, universe, difference } }: ReportExposure): string {
  if (top === null) return 'beta unknown';
  const tilt = tiltWords(difference, { above: 'a bet on high beta', below: 'a bet on low beta' });
  return (
    `beta to the equal-weight universe ${formatNumber(top, 2)} beside ${formatNumber(universe, 2)}, ` +
    `${signed(difference)}: ${tilt}`
  );
}

function sizeWords({ sizeRank: { top, difference } }: ReportExposure): string {
  if (top === null) return 'size unknown';
  const tilt = tiltWords(difference, { above: 'larger companies', below: 'smaller companies' });
  return (
    `size rank by dollar volume ${formatNumber(top, 2)} (0 smallest, 1 largest, all 0.50), ` +
    `${signed(difference)}: ${tilt}`
  );
}

/** A tilt is said where its interval leaves out zero. */
function tiltWords({ low, high }: Difference, words: { above: string; below: string }): string {
  if (low === null || high === null) return 'too few sessions for an interval';
  return low > 0 ? words.above : high < 0 ? words.below : 'no tilt that could be told from zero';
}

function signed({ value, low, high }: Difference): string {
  const text = (figure: number | null): string =>
    `${figure !== null && figure >= 0 ? '+' : ''}${formatNumber(figure, 2)}`;
  return low === null || high === null
    ? `difference ${text(value)}`
    : `difference ${text(value)} [${text(low)}, ${text(high)}]`;
}

function sectorWords({ sectors }: ReportExposure): string {
  const tilted = sectors
    .map((one) => ({ ...one, tilt: one.top - one.universe }))
    .filter(({ tilt }) => Math.abs(tilt) >= SMALLEST_TILT)
    .toSorted((a, b) => Math.abs(b.tilt) - Math.abs(a.tilt))
    .slice(0, MAX_SECTORS)
    .map(
      ({ sector, top, universe, tilt }) =>
        `${tilt > 0 ? 'more' : 'less'} ${sector} (${percent(top)} beside ${percent(universe)})`,
    );
  return tilted.length === 0 ? 'sectors as in the universe' : `largest sector tilts: ${tilted.join(', ')}`;
}
