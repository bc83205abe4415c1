import { describe, expect, it } from 'vitest';
import type { ProbabilityName } from '../../db/queries/predictions.ts';
import { drawn } from '../components/drawn.ts';
import type { Chrome } from '../deps.ts';
import { SymbolPage, type SymbolView } from './symbol.tsx';

const CHROME: Chrome = {
  user: null,
  csrfToken: '',
  mayAct: false,
  theme: 'auto',
  flash: null,
  waiting: 0,
  here: '/',
  timezone: 'America/New_York',
  nowMs: 0,
};
const PROBABILITIES: Record<ProbabilityName, number> = {
  lightgbm: 0.52,
  xgboost: 0.5,
  catboost: 0.5,
  histGradientBoosting: 0.5,
  randomForest: 0.5,
  extraTrees: 0.5,
  logisticRegression: 0.47,
  mlp: 0.5,
  meanLogit: 0.5,
  meta: 0.6,
};
const point = (sessionDate: string, excessReturn: number | null): SymbolView['track'][number] => ({
  sessionDate,
  side: 'buy',
  probability: 0.6,
  baseRate: 0.5,
  probabilities: PROBABILITIES,
  forwardReturn: excessReturn,
  excessReturn,
  missingReason: null,
});
const PRICES = { sessions: ['2018-02-07'], close: [10], doubtful: 0, units: '2018-02-07', held: null };
const VIEW: SymbolView = {
  symbol: 'AAPL',
  chosen: {
    universe: 'tiny',
    universes: ['tiny'],
    session: '2018-02-07',
    missing: null,
    sessions: ['2018-02-07', '2018-02-06'],
    earlier: '2018-02-06',
    later: null,
    newest: '2018-02-07',
  },
  session: '2018-02-07',
  universe: 'tiny',
  instrument: null,
  signal: {
    symbol: 'AAPL',
    side: 'buy',
    rank: 1,
    probability: 0.6,
    baseRate: 0.5,
    confidence: 0.9,
    reasonCode: 'outperform',
    reasonWords: 'outperform: rank 1 of 20',
    reasons: [],
    modelVersion: 'v1',
    revision: 1,
    featureSetVersion: 'f1',
    dataCutoff: '2018-02-07T23:00:00Z',
  },
  contributions: [
    { feature: 'ret1', value: 0.25, contribution: 0.5 },
    { feature: 'rsi14', value: null, contribution: -0.25 },
  ],
  adjust: 'splits',
  prices: PRICES,
  features: null,
  track: [point('2018-02-06', 0.01), point('2018-02-07', null)],
};
const draw = (change: Partial<SymbolView> = {}): Promise<string> =>
  drawn(<SymbolPage view={{ ...VIEW, ...change }} chrome={CHROME} />);

describe('the page of a symbol', () => {
  it('shows what moved an issued signal, as numbers and as bars to both sides', async () => {
    const page = await draw();
    expect(page).toContain('ret1 = 0.2500');
    expect(page).toContain('rsi14 = missing');
    expect(page).toContain('class="plus" x="50" width="50"');
    expect(page).toContain('class="minus" x="25" width="25"');
    expect(page).not.toContain('this is none');
    expect(page).toContain('href="/symbols/AAPL?session=2018-02-06&amp;universe=tiny&amp;adjust=splits"');
    expect(page).not.toMatch(/later|newest\s*<\/a>/);
    expect(await draw({ contributions: [] })).toContain('this is none');
  });

  it('draws the models from the base rate on, and outcomes outside of all probabilities', async () => {
    const page = await draw();
    expect(page).toContain('the bars begin at the base rate, 0.5000');
    const specs = [...page.matchAll(/<script type="application\/json">(.*?)<\/script>/g)].map(
      ([, json = '']) => JSON.parse(json),
    );
    const [, track] = specs;
    const [better] = track.series.filter(
      ({ label }: { label: string }) => label === 'Better than the median',
    );
    expect(better.values).toEqual([expect.closeTo(0.6156), null]);
  });

  it('says in words that there are no prices, and that they wait for a decision', async () => {
    expect(await draw({ prices: { problem: 'no bar was known' } })).toContain('No bar was known.');
    const held = await draw({
      prices: { ...VIEW.prices, held: 'a gap of 9 sessions' } as SymbolView['prices'],
    });
    expect(held).toContain('A gap of 9 sessions; decide on');
  });
});
