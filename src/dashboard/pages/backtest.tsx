import type { FC } from 'hono/jsx';
import { MODELS } from '../../contracts/wire/names.ts';
import type { BacktestMetric } from '../../db/queries/backtests.ts';
import { bucketsOf } from '../backtest-tables.ts';
import type { ChartSpec } from '../components/chart-spec.ts';
import { BarTable, Chart } from '../components/charts.tsx';
import { ChooseNight, NoResults } from '../components/choose-night.tsx';
import { BiasNotice, Choices, Notice, PageHead, Table } from '../components/parts.tsx';
import { count, fixed, percent, sentence, signed, words } from '../format.ts';
import type { ChosenNight } from '../which-night.ts';

export type BacktestView = {
  chosen: ChosenNight;
  model: string;
  models: string[];
  metrics: BacktestMetric[];
  equity: ChartSpec;
  /** What changed since, so that it no longer holds. */
  invalidReason: string | null;
  survivorship: string;
  /** What it says about itself. */
  said: string[];
};

const PORTFOLIO = [
  ['grossReturn', 'Gross', 'percent'],
  ['netReturn', 'Net', 'percent'],
  ['sharpe', 'Sharpe', 'interval'],
  ['deflatedSharpe', 'Deflated', 'number'],
  ['maxDrawdown', 'Drawdown', 'percent'],
  ['turnover', 'Turnover', 'number'],
  ['breakEvenCostBps', 'Break-even bp', 'number'],
] as const;

/** What the predictions would have been worth: equity, deciles, months, sectors. */
export const BacktestPage: FC<{ view: BacktestView }> = ({ view }) => {
  const { chosen, metrics, equity, model } = view;
  const { session } = chosen;
  if (session === null) {
    return (
      <NoResults action="/backtest" chosen={chosen} title="Backtest" none="No backtest">
        <p>
          Task 4 walks forward over the predictions out of sample. <a href="/">Tonight</a> shows whether it
          has run.
        </p>
      </NoResults>
    );
  }
  return (
    <>
      <PageHead
        title={`Backtest of ${session}`}
        aside={<ChooseNight action="/backtest" chosen={chosen} keep={{ model }} />}
      >
        <p class="muted">
          Walk-forward, out of sample, after costs; {count(equity.sessions.length)} sessions
          {equity.sessions.length === 0
            ? ''
            : ` from ${equity.sessions[0] ?? ''} to ${equity.sessions.at(-1) ?? ''}`}
        </p>
      </PageHead>
      {view.invalidReason === null ? null : (
        <Notice tone="wait" title="It no longer holds">
          <p>{view.invalidReason}</p>
        </Notice>
      )}
      <BiasNotice of={view} />
      <section class="panel">
        <Chart
          title="Equity after costs"
          spec={equity}
          all={`/api/v1/backtests/${session}/equity?${new URLSearchParams({ universe: chosen.universe, format: 'csv' }).toString()}`}
        >
          Each begins with 1 at its first session; meta is the stack. A name below shows or hides its series;
          drag, or press + and −, to look closer; arrow keys move along
        </Chart>
      </section>
      <section class="panel">
        <h2>Portfolios</h2>
        <Portfolios metrics={metrics} models={view.models} />
        <ul class="small said">
          {view.said.map((note) => (
            <li>{sentence(note)}</li>
          ))}
        </ul>
      </section>
      <section class="panel">
        <h2>In detail: {words(model)}</h2>
        <Choices
          label="Models"
          links={view.models.map((name) => ({
            text: words(name),
            href: `/backtest?session=${session}&universe=${encodeURIComponent(chosen.universe)}&model=${name}`,
            isShown: name === model,
          }))}
        />
        <div class="cols">
          <Slices
            metrics={metrics}
            model={model}
            dimension="decile"
            metric="excessReturn"
            caption="Mean return less the median, by decile of the prediction (10 is the highest); 95 % intervals"
            head="Decile"
          />
          <Slices
            metrics={metrics}
            model={model}
            dimension="sector"
            metric="netTotal"
            caption="Net return by sector"
            head="Sector"
          />
        </div>
        <Slices
          metrics={metrics}
          model={model}
          dimension="month"
          metric="netTotal"
          caption="Net return by month"
          head="Month"
        />
      </section>
    </>
  );
};

const Portfolios: FC<{ metrics: readonly BacktestMetric[]; models: readonly string[] }> = ({
  metrics,
  models,
}) => {
  const rowOf = (model: string, dimension: string, isBenchmark: boolean) => {
    const own = bucketsOf(metrics, { model, dimension }).get('all');
    return [
      isBenchmark ? <span class="muted">{words(model)} (benchmark)</span> : words(model),
      ...PORTFOLIO.map(([metric, , kind]) => {
        const found = own?.get(metric) ?? (metric === 'netReturn' ? own?.get('totalReturn') : undefined);
        const value = found?.value;
        if (kind === 'percent') return percent(value, { sign: metric !== 'maxDrawdown' });
        if (kind === 'number') return fixed(value, 2);
        const { lower = null, upper = null } = found ?? {};
        return (
          <>
            {fixed(value, 2)}
            {lower === null || upper === null ? null : (
              <span class="small muted">
                {' '}
                [{fixed(lower, 2)}, {fixed(upper, 2)}]
              </span>
            )}
          </>
        );
      }),
    ];
  };
  const benchmarks = [
    ...new Set(metrics.filter(({ dimension }) => dimension === 'benchmark').map(({ model }) => model)),
  ];
  return (
    <Table
      caption="Long the top, short the bottom, beside benchmarks that need no model; 95 % intervals"
      columns={[{ head: 'Series' }, ...PORTFOLIO.map(([, head]) => ({ head, numeric: true }))]}
      rows={[
        ...models.map((model) => rowOf(model, 'portfolio', false)),
        ...benchmarks.map((name) => rowOf(name, 'benchmark', true)),
      ]}
    />
  );
};

const Slices: FC<{
  metrics: readonly BacktestMetric[];
  model: string;
  dimension: string;
  metric: string;
  caption: string;
  head: string;
}> = ({ metrics, model, dimension, metric, caption, head }) => {
  const isNumber = dimension === 'decile';
  const rows = [...bucketsOf(metrics, { model, dimension })]
    .toSorted(([a], [b]) => (isNumber ? Number(b) - Number(a) : a < b ? -1 : 1))
    .map(([bucket, own]) => ({ bucket, figure: own.get(metric) }));
  if (rows.length === 0) return <p class="muted">Nothing is known by {dimension}.</p>;
  return (
    <BarTable
      caption={caption}
      heads={[head, 'Return']}
      signed
      rows={rows.map(({ bucket, figure }) => ({
        name: isNumber ? String(Number(bucket)) : bucket,
        value: figure?.value ?? null,
        low: figure?.lower ?? null,
        high: figure?.upper ?? null,
        text: figure?.value === null || figure === undefined ? '–' : `${signed(figure.value * 100, 2)} %`,
      }))}
    />
  );
};

/** Order of series wherever they are listed. */
export const SERIES_ORDER: readonly string[] = ['meta', 'meanLogit', ...MODELS];
