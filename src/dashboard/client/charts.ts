import uPlot from 'uplot';
import type { ChartSpec } from '../components/chart-spec.ts';

const HEIGHT = 260;
const DIGITS = 4;
const COLOURS = 6;
const DAY = 86_400;
const [MONTH, YEAR] = [30 * DAY, 365 * DAY];
/** Steps of the library that are whole days: a session has no time of day. */
const STEPS = [
  ...[1, 2, 5, 10, 15].map((days) => days * DAY),
  ...[1, 2, 3, 4, 6].map((months) => months * MONTH),
  ...[1, 2, 5].map((years) => years * YEAR),
];

/** Dates below the axis: what changes from tick to tick, and the year where it begins. */
function datesAt(seconds: readonly number[], step: number): string[] {
  let year = '';
  return seconds.map((second) => {
    const at = new Date(second * 1000);
    const date = at.toISOString();
    const month = at.toLocaleDateString('en-US', { month: 'short', timeZone: 'UTC' });
    const isNew = date.slice(0, 4) !== year;
    year = date.slice(0, 4);
    if (step >= YEAR) return year;
    const text = step >= MONTH ? month : `${month} ${date.slice(8, 10)}`;
    return isNew ? `${text}\n${year}` : text;
  });
}

/** The colour a class gives to text: canvas does not know the page's own colours. */
function colourOf(host: HTMLElement, className: string): string {
  const probe = document.createElement('span');
  probe.className = className;
  host.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

function optionsOf(figure: HTMLElement, spec: ChartSpec, width: number): uPlot.Options {
  const line = colourOf(figure, 'ink-line');
  const text = colourOf(figure, 'ink-muted');
  const axis = { stroke: text, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
  const format = (value: number): string =>
    spec.unit === 'share' ? `${(value * 100).toFixed(1)} %` : String(Number(value.toPrecision(DIGITS)));
  return {
    width,
    height: HEIGHT,
    // Sessions are dates, not instants: all are shown as they are stored.
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC'),
    series: [
      { label: 'Session', value: '{YYYY}-{MM}-{DD}' },
      ...spec.series.map(({ label, points = false, dashed = false, hidden = false }, index): uPlot.Series => {
        const stroke = colourOf(figure, `ink-${(index % COLOURS) + 1}`);
        return {
          label,
          stroke,
          width: points ? 0 : 1.75,
          show: !hidden,
          // Beyond the last colour the line tells series apart.
          ...(dashed ? { dash: [6, 4] } : index >= COLOURS ? { dash: [2, 3] } : {}),
          points: { show: points, size: 7, fill: stroke },
          spanGaps: true,
          value: (_plot, value: number | null) => (value === null ? '–' : points ? 'yes' : format(value)),
        };
      }),
    ],
    axes: [
      { ...axis, incrs: STEPS, values: (_plot, splits, _axis, _space, step) => datesAt(splits, step) },
      { ...axis, size: 64, values: (_plot, values) => values.map(format) },
    ],
    cursor: { drag: { x: true, y: false } },
  };
}

/** The names of the series as switches for keyboard and screen reader too: the library knows the mouse only. */
function makeSwitches(host: HTMLElement): void {
  const rows = [...host.querySelectorAll<HTMLElement>('.u-legend .u-series')].slice(1);
  for (const row of rows) {
    const label = row.querySelector<HTMLElement>('.u-label');
    if (label === null) continue;
    const tell = (): void => label.setAttribute('aria-pressed', String(!row.classList.contains('u-off')));
    label.tabIndex = 0;
    label.setAttribute('role', 'button');
    tell();
    label.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' && event.key !== ' ') return;
      event.preventDefault();
      label.click();
    });
    new MutationObserver(tell).observe(row, { attributeFilter: ['class'] });
  }
}

/** How far a key moves along the sessions. */
const MOVES: Readonly<Record<string, number>> = {
  ArrowLeft: -1,
  ArrowRight: 1,
  PageUp: -21,
  PageDown: 21,
  Home: Number.NEGATIVE_INFINITY,
  End: Number.POSITIVE_INFINITY,
};
const ZOOMS: Readonly<Record<string, number>> = { '+': 0.5, '=': 0.5, '-': 2, _: 2 };

/** Keys do what the mouse does: they move the cursor along the sessions and zoom; what it is at is told. */
function followKeys(host: HTMLElement, chart: { plot: () => uPlot | undefined; name: string }): void {
  const told = document.createElement('p');
  told.className = 'hidden-words';
  told.setAttribute('role', 'status');
  host.after(told);
  host.tabIndex = 0;
  host.setAttribute('role', 'group');
  host.setAttribute('aria-label', `${chart.name}: arrow keys move along the sessions, + and − zoom`);
  let at: number | null = null;

  const show = (plot: uPlot, index: number): void => {
    at = index;
    const [times] = plot.data;
    plot.setCursor({ left: plot.valToPos(times[index] ?? 0, 'x'), top: plot.over.clientHeight / 2 });
    const rows = [...host.querySelectorAll<HTMLElement>('.u-legend .u-series:not(.u-off)')];
    told.textContent = rows
      .map((row) => ['.u-label', '.u-value'].map((part) => row.querySelector(part)?.textContent).join(' '))
      .join(', ');
  };
  const zoom = (plot: uPlot, factor: number): void => {
    const [times] = plot.data;
    const [first = 0, last = 0] = [times[0], times.at(-1)];
    const { min = first, max = last } = plot.scales['x'] ?? {};
    const middle = at === null ? (min + max) / 2 : (times[at] ?? 0);
    const span = Math.min(last - first, Math.max((max - min) * factor, DAY));
    const from = Math.max(first, Math.min(last - span, middle - span / 2));
    // At once: the cursor's place is looked for in the new scale.
    plot.batch(() => plot.setScale('x', { min: from, max: from + span }));
  };
  host.addEventListener('keydown', (event) => {
    const plot = chart.plot();
    if (plot === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    const [move, factor] = [MOVES[event.key], ZOOMS[event.key]];
    if (move === undefined && factor === undefined) return;
    event.preventDefault();
    if (factor !== undefined) zoom(plot, factor);
    const [times] = plot.data;
    const { min = 0, max = 0 } = plot.scales['x'] ?? {};
    const low = times.findIndex((time) => time >= min);
    const high = times.findLastIndex((time) => time <= max);
    const next = at === null ? high : at + (move ?? 0);
    show(plot, Math.max(low, Math.min(high, next)));
  });
  host.addEventListener('blur', () => {
    at = null;
    chart.plot()?.setCursor({ left: -10, top: -10 });
  });
}

function draw(figure: HTMLElement): void {
  const source = figure.querySelector('script[type="application/json"]');
  const host = figure.querySelector<HTMLElement>('.plot');
  if (source === null || host === null) return;
  const spec: ChartSpec = JSON.parse(source.textContent);
  const times = spec.sessions.map((date) => Date.parse(`${date}T00:00:00Z`) / 1000);
  const data: uPlot.AlignedData = [times, ...spec.series.map(({ values }) => values)];
  let plot: uPlot | undefined;
  const redraw = (): void => {
    plot?.destroy();
    host.replaceChildren();
    plot = new uPlot(optionsOf(figure, spec, host.clientWidth), data, host);
    makeSwitches(host);
  };
  redraw();
  followKeys(host, { plot: () => plot, name: figure.getAttribute('aria-label') ?? '' });
  new ResizeObserver(() => {
    if (plot !== undefined && plot.width !== host.clientWidth)
      plot.setSize({ width: host.clientWidth, height: HEIGHT });
  }).observe(host);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
}

for (const figure of document.querySelectorAll<HTMLElement>('figure.chart')) draw(figure);
