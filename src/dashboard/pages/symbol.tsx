import type { FC } from 'hono/jsx';
import type { Feature } from '../../api/symbol-values.ts';
import type { Instrument } from '../../db/queries/dashboard-signals.ts';
import { PROBABILITY_NAMES, type StoredSignal } from '../../db/queries/predictions.ts';
import type { SymbolPrediction } from '../../db/queries/result-signals.ts';
import { ADJUSTMENTS, type Adjustment } from '../../domain/adjustment.ts';
import { BarTable, Chart } from '../components/charts.tsx';
import type { ChartSpec } from '../components/chart-spec.ts';
import { SessionLinks } from '../components/choose-night.tsx';
import { Choices, Facts, Notice, PageHead, Table, Time } from '../components/parts.tsx';
import type { Chrome } from '../deps.ts';
import { count, fixed, percent, sentence, signed, words } from '../format.ts';
import type { PriceLine } from '../prices.ts';
import type { Contribution } from '../reasons.ts';
import { edgeOf } from '../signal-order.ts';
import type { ChosenNight } from '../which-night.ts';
import { Side } from './signals.tsx';

/** What is drawn of a prediction and its outcome. */
type TrackPoint = Pick<
  SymbolPrediction,
  | 'sessionDate'
  | 'side'
  | 'probability'
  | 'baseRate'
  | 'probabilities'
  | 'forwardReturn'
  | 'excessReturn'
  | 'missingReason'
>;

export type SymbolView = {
  symbol: string;
  chosen: ChosenNight;
  session: string;
  universe: string;
  instrument: Instrument | null;
  signal: StoredSignal;
  contributions: Contribution[];
  adjust: Adjustment;
  /** Or why there are none. */
  prices: PriceLine | { problem: string };
  features: Feature[] | null;
  /** Up to the session, oldest first. */
  track: TrackPoint[];
};

/** One symbol's story: what the model says and why, its prices and features, what came of earlier predictions. */
export const SymbolPage: FC<{ view: SymbolView; chrome: Chrome }> = ({ view, chrome }) => {
  const { symbol, session, universe, instrument, signal, features, track } = view;
  const own = track.find(({ sessionDate }) => sessionDate === session);
  return (
    <>
      <PageHead
        title={symbol}
        aside={
          <div class="buttons">
            <Side signal={signal} />
            <SessionLinks
              action={`/symbols/${encodeURIComponent(symbol)}`}
              chosen={view.chosen}
              keep={{ adjust: view.adjust }}
            />
          </div>
        }
      >
        <p class="muted">
          {[instrument?.name, instrument?.sector, instrument?.industry]
            .filter((part) => part !== null && part !== undefined && part !== '')
            .join(', ') || 'Nothing more is known of the company'}
        </p>
      </PageHead>
      <div class="cols">
        <section class="panel">
          <h2>The signal of {session}</h2>
          <p>{sentence(signal.reasonWords)}</p>
          <Facts
            rows={[
              ['Probability', fixed(signal.probability)],
              ['Base rate', fixed(signal.baseRate)],
              ['Less base rate', signed(edgeOf(signal))],
              ['Rank', signal.rank === null ? '–' : String(signal.rank)],
              ['Confidence', fixed(signal.confidence, 2)],
              ['What came of it', own === undefined ? '–' : outcomeOf(own)],
              [
                'Model',
                <a href={`/models?version=${encodeURIComponent(signal.modelVersion)}`}>
                  {signal.modelVersion}
                </a>,
              ],
              ['Data up to', <Time at={signal.dataCutoff} zone={chrome} />],
              [
                'All of the session',
                <a href={`/signals?session=${session}&universe=${encodeURIComponent(universe)}`}>
                  signals of {session}
                </a>,
              ],
            ]}
          />
        </section>
        <section class="panel">
          <h2>Why</h2>
          {view.contributions.length === 0 ? (
            <Notice tone="skip">
              <p>
                SHAP contributions are computed for issued signals only, and this is none. What the models
                look at in general is on <a href="/models">Models</a>.
              </p>
            </Notice>
          ) : (
            <BarTable
              caption="SHAP: what moved the stack's log-odds, largest first"
              heads={['Feature and its value', 'Log-odds']}
              signed
              rows={view.contributions.map(({ feature, value, contribution }) => ({
                name: `${feature} = ${value === null ? 'missing' : fixed(value)}`,
                value: contribution,
                text: signed(contribution),
              }))}
            />
          )}
        </section>
      </div>
      <Price view={view} />
      <section class="panel">
        <h2>Predictions and outcomes</h2>
        {track.length === 0 ? (
          <p class="muted">No prediction of {symbol} is stored.</p>
        ) : (
          <>
            {track.length === 1 ? (
              <p class="muted">One session so far; from the second on they are drawn.</p>
            ) : (
              <Chart
                title="Probability over sessions"
                spec={trackSpec(track)}
                all={csvOf(symbol, 'predictions', { universe, to: session })}
              >
                Points at the top: the symbol did better than the median; at the bottom: worse. A name below
                shows or hides its series
              </Chart>
            )}
            <Table
              caption="The last sessions up to this one, newest first; returns from the next open to the close of the exit"
              columns={[
                { head: 'Session' },
                { head: 'Signal' },
                { head: 'Probability', numeric: true },
                { head: 'Less base rate', numeric: true },
                { head: 'Return', numeric: true },
                { head: 'Less median', numeric: true },
              ]}
              rows={track
                .toReversed()
                .slice(0, 15)
                .map((point) => [
                  point.sessionDate,
                  words(point.side),
                  fixed(point.probability),
                  signed(edgeOf(point)),
                  point.forwardReturn === null
                    ? (point.missingReason ?? 'not known yet')
                    : percent(point.forwardReturn, { sign: true, digits: 2 }),
                  percent(point.excessReturn, { sign: true, digits: 2 }),
                ])}
            />
          </>
        )}
      </section>
      <div class="cols">
        <section class="panel">
          <h2>What each model says</h2>
          {own === undefined || own.probability === null ? (
            <p class="muted">It was not scored, so no model says anything.</p>
          ) : (
            <BarTable
              caption={`Probabilities of ${session}; the bars begin at the base rate, ${fixed(own.baseRate)}`}
              heads={['Model', 'Probability']}
              signed
              rows={PROBABILITY_NAMES.map((name) => ({
                name: words(name),
                value: edgeOf({ ...own, probability: own.probabilities[name] }),
                text: fixed(own.probabilities[name]),
              }))}
            />
          )}
        </section>
        <section class="panel tall">
          <h2>Features of {session}</h2>
          {features === null ? (
            <p class="muted">None are stored for this session (any more).</p>
          ) : (
            <Table
              caption={`${features.length} values as the models saw them, in the order of their set`}
              columns={[{ head: 'Feature' }, { head: 'Value', numeric: true }]}
              rows={features.map(({ name, definition, value }) => [
                <>
                  {name}
                  <span class="told">{definition}</span>
                </>,
                value === null ? 'missing' : fixed(value),
              ])}
            />
          )}
        </section>
      </div>
    </>
  );
};

function outcomeOf({ forwardReturn, excessReturn, missingReason }: TrackPoint): string {
  if (forwardReturn === null) return missingReason ?? 'not known yet';
  return `${percent(forwardReturn, { sign: true, digits: 2 })}, ${percent(excessReturn, { sign: true, digits: 2 })} against the median`;
}

const ADJUST_WORDS: Record<Adjustment, string> = {
  raw: 'as delivered',
  splits: 'adjusted for splits',
  total: 'with dividends reinvested',
};

const Price: FC<{ view: SymbolView }> = ({ view }) => {
  const { symbol, session, universe, adjust, prices } = view;
  return (
    <section class="panel">
      <h2>Price</h2>
      <Choices
        label="Adjustment of prices"
        links={ADJUSTMENTS.map((one) => ({
          text: ADJUST_WORDS[one],
          href: `/symbols/${encodeURIComponent(symbol)}?${new URLSearchParams({ session, universe, adjust: one }).toString()}`,
          isShown: one === adjust,
        }))}
      />
      {'problem' in prices ? (
        <p class="muted">{sentence(prices.problem)}.</p>
      ) : (
        <>
          {prices.held === null ? null : (
            <Notice tone="wait" title="No bar of it counts until a person has decided">
              <p>
                {sentence(prices.held)}; decide on <a href="/data">Data</a>.
              </p>
            </Notice>
          )}
          <Chart
            title={`Close of ${symbol}, ${ADJUST_WORDS[adjust]}`}
            spec={priceSpec(prices)}
            all={csvOf(symbol, 'bars', { session, universe, adjust })}
          >
            {[
              `${count(prices.sessions.length)} sessions as the night of ${session} knew them`,
              ...(prices.units === null ? [] : [`in shares of ${prices.units}`]),
              `last close ${fixed(lastOf(prices.close), 2)}`,
              ...(prices.doubtful > 0 ? [`${count(prices.doubtful)} doubtful left out`] : []),
            ].join('; ')}
            . Drag, or press + and −, to look closer; arrow keys move along
          </Chart>
        </>
      )}
    </section>
  );
};

function csvOf(symbol: string, what: 'bars' | 'predictions', query: Record<string, string>): string {
  const search = new URLSearchParams({ ...query, format: 'csv' });
  return `/api/v1/symbols/${encodeURIComponent(symbol)}/${what}?${search.toString()}`;
}

function lastOf(values: readonly (number | null)[]): number | null {
  return values.findLast((value) => value !== null) ?? null;
}

function priceSpec({ sessions, close }: PriceLine): ChartSpec {
  return { sessions, series: [{ label: 'Close', values: close }], unit: 'number' };
}

const OTHERS = ['lightgbm', 'logisticRegression'] as const;
/** Of the range of probabilities: how far the marks of the outcomes lie outside of it. */
const MARGIN = 0.12;

/** Probabilities as lines, outcomes as points above and below all of them: how large they were is in the table. */
function trackSpec(track: readonly TrackPoint[]): ChartSpec {
  const known = track
    .flatMap(({ probability, baseRate, probabilities }) => [
      probability,
      baseRate,
      ...OTHERS.map((name) => probabilities[name]),
    ])
    .filter((value) => value !== null);
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const margin = (high - low || 0.1) * MARGIN;
  const marks = (isAt: (excess: number) => boolean, place: number): (number | null)[] =>
    track.map(({ excessReturn }) => (excessReturn !== null && isAt(excessReturn) ? place : null));
  return {
    sessions: track.map(({ sessionDate }) => sessionDate),
    unit: 'share',
    series: [
      { label: 'Stack', values: track.map(({ probability }) => probability) },
      { label: 'Base rate', values: track.map(({ baseRate }) => baseRate), dashed: true },
      { label: 'Better than the median', values: marks((excess) => excess > 0, high + margin), points: true },
      { label: 'Not better', values: marks((excess) => excess <= 0, low - margin), points: true },
      ...OTHERS.map((name) => ({
        label: words(name),
        values: track.map(({ probabilities }) => probabilities[name]),
        hidden: true,
      })),
    ],
  };
}
