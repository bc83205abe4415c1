import { raw } from 'hono/html';
import type { Child, FC } from 'hono/jsx';
import { count, fixed, percent } from '../format.ts';
import { Scroll, Table } from './parts.tsx';
import type { ChartSpec } from './chart-spec.ts';

/** JSON that may stand inside a script element: nothing in it ends the element or begins a comment. */
export function scriptJson(value: unknown): string {
  return JSON.stringify(value).replaceAll('<', '\\u003c');
}

/** Of the numbers below a chart: a quarter of sessions, as many as somebody reads. */
const NUMBERS = 63;

/** A chart over sessions, drawn by the page's script, with its numbers; `all`: where there are all of them. */
export const Chart: FC<{ title: string; spec: ChartSpec; all: string; children?: Child }> = ({
  title,
  spec,
  all,
  children,
}) => (
  <figure class="chart" aria-label={title}>
    <figcaption>
      <strong>{title}</strong>
      {children === undefined ? null : <>. {children}</>}
    </figcaption>
    <div class="plot">
      <p>A script of this page draws it; the numbers are below.</p>
    </div>
    <script type="application/json">{raw(scriptJson(spec))}</script>
    <details class="tall">
      <summary>
        Numbers<span class="hidden-words"> of {title}</span>
      </summary>
      <Numbers title={title} spec={spec} />
      <p class="small">
        With all sessions and digits: <a href={all}>CSV</a>
      </p>
    </details>
  </figure>
);

/** What a chart shows, the newest sessions first. */
const Numbers: FC<{ title: string; spec: ChartSpec }> = ({ title, spec: { sessions, series, unit } }) => {
  const from = Math.max(0, sessions.length - NUMBERS);
  const textOf = (value: number | null | undefined, isPoint: boolean): string => {
    if (isPoint) return typeof value === 'number' ? 'yes' : '';
    return unit === 'share' ? percent(value) : fixed(value);
  };
  return (
    <Table
      caption={`${title}, newest session first${from === 0 ? '' : `: the last ${NUMBERS} of ${count(sessions.length)} sessions`}`}
      columns={[{ head: 'Session' }, ...series.map(({ label }) => ({ head: label, numeric: true }))]}
      rows={sessions
        .slice(from)
        .map((date, index) => [
          <span class="nowrap">{date}</span>,
          ...series.map(({ values, points = false }) => textOf(values[from + index], points)),
        ])
        .toReversed()}
    />
  );
};

/** A bar from zero to a value, with an interval; `most` is the length of half (signed) or the whole width. */
export const Bar: FC<{
  value: number | null;
  most: number;
  signed?: boolean;
  low?: number | null;
  high?: number | null;
}> = ({ value, most, signed = false, low = null, high = null }) => {
  const scale = most > 0 && Number.isFinite(most) ? most : 1;
  const at = (number: number): number => {
    const share = Math.max(-1, Math.min(1, number / scale));
    return Math.round((signed ? 50 + share * 50 : Math.max(0, share) * 100) * 100) / 100;
  };
  const zero = signed ? 50 : 0;
  const end = value === null ? zero : at(value);
  return (
    <svg class="bar" viewBox="0 0 100 12" preserveAspectRatio="none" aria-hidden="true">
      <rect class="track" width="100" height="12" rx="1" />
      <rect
        class={value !== null && value < 0 ? 'minus' : 'plus'}
        x={Math.min(zero, end)}
        width={Math.abs(end - zero)}
        y="2"
        height="8"
      />
      {low === null || high === null ? null : (
        <line class="whisker" x1={at(low)} x2={at(high)} y1="6" y2="6" />
      )}
      {signed ? <line class="zero" x1="50" x2="50" y1="0" y2="12" /> : null}
    </svg>
  );
};

export type BarRow = {
  name: Child;
  value: number | null;
  text: string;
  low?: number | null;
  high?: number | null;
};

/** A table with a bar in each row: the numbers are there for who does not see the bars. */
export const BarTable: FC<{
  caption: string;
  heads: [string, string];
  rows: readonly BarRow[];
  signed?: boolean;
}> = (props) => {
  const { caption, heads, rows, signed = false } = props;
  const most = Math.max(
    ...rows.flatMap(({ value, low, high }) => [value ?? 0, low ?? 0, high ?? 0].map((one) => Math.abs(one))),
    Number.EPSILON,
  );
  return (
    <Scroll label={caption}>
      <table class="bars">
        <caption>{caption}</caption>
        <thead>
          <tr>
            <th scope="col">{heads[0]}</th>
            <th scope="col" class="num">
              {heads[1]}
            </th>
            <td />
          </tr>
        </thead>
        <tbody>
          {rows.map(({ name, value, text, low = null, high = null }) => (
            <tr>
              <th scope="row">{name}</th>
              <td class="num">{text}</td>
              <td class="bar-cell">
                <Bar value={value} most={most} signed={signed} low={low} high={high} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
};

const SIDE = 320;
const EDGE = 46;

export type CurvePoint = { x: number; y: number; low: number | null; high: number | null };

/** Predicted against realised shares: a calibrated model lies on the diagonal. */
export const CalibrationCurve: FC<{ points: readonly CurvePoint[] }> = ({ points }) => {
  const all = points.flatMap(({ x, y, low, high }) => [x, y, low ?? y, high ?? y]);
  const least = Math.max(0, Math.floor(Math.min(...all) * 20) / 20);
  const most = Math.min(1, Math.ceil(Math.max(...all) * 20) / 20);
  const span = most - least || 1;
  const round = (value: number): number => Math.round(value * 10) / 10;
  const xOf = (value: number): number => round(EDGE + ((value - least) / span) * (SIDE - EDGE - 8));
  const yOf = (value: number): number => round(SIDE - EDGE - ((value - least) / span) * (SIDE - EDGE - 8));
  const ticks = [least, (least + most) / 2, most];
  const inner = SIDE - EDGE - 8;
  return (
    <svg class="square" viewBox={`0 0 ${SIDE} ${SIDE}`} width={SIDE} height={SIDE} role="img">
      <title>{`Calibration: realised share against predicted probability in ${points.length} groups`}</title>
      <rect class="frame" x={EDGE} y="8" width={inner} height={inner} />
      <path class="ideal" d={`M${xOf(least)} ${yOf(least)}L${xOf(most)} ${yOf(most)}`} />
      {points.map(({ x, low, high }) =>
        low === null || high === null ? null : (
          <path class="range" d={`M${xOf(x)} ${yOf(low)}V${yOf(high)}`} />
        ),
      )}
      <path
        class="curve"
        d={points.map(({ x, y }, index) => `${index === 0 ? 'M' : 'L'}${xOf(x)} ${yOf(y)}`).join('')}
      />
      {points.map(({ x, y }) => (
        <circle class="dot" cx={xOf(x)} cy={yOf(y)} r="3.500" />
      ))}
      {ticks.map((tick, index) => (
        <>
          <text
            x={xOf(tick)}
            y={SIDE - EDGE + 16}
            text-anchor={index === ticks.length - 1 ? 'end' : 'middle'}
          >
            {tick.toFixed(2)}
          </text>
          <text x={EDGE - 4} y={yOf(tick) + 4} text-anchor="end">
            {tick.toFixed(2)}
          </text>
        </>
      ))}
      <text x={EDGE + inner / 2} y={SIDE - 2} text-anchor="middle">
        predicted
      </text>
      <text transform={`translate(11 ${8 + inner / 2}) rotate(-90)`} text-anchor="middle">
        realised
      </text>
    </svg>
  );
};

/** Two distributions over the same bins, side by side. */
export const TwoDistributions: FC<{ before: readonly number[]; now: readonly number[]; title: string }> = (
  props,
) => {
  const { before, now, title } = props;
  const most = Math.max(...before, ...now, Number.EPSILON);
  const bins = Math.max(before.length, now.length, 1);
  const width = 400;
  const step = width / bins;
  const heightOf = (value: number): number => Math.round((value / most) * 1000) / 10;
  return (
    <svg class="side-bars" viewBox={`0 0 ${width} 104`} width={width} height="104" role="img">
      <title>{title}</title>
      {Array.from({ length: bins }, (_, bin) => (
        <>
          <rect
            class="before"
            x={bin * step + step * 0.1}
            width={step * 0.38}
            y={102 - heightOf(before[bin] ?? 0)}
            height={heightOf(before[bin] ?? 0)}
          />
          <rect
            class="now"
            x={bin * step + step * 0.5}
            width={step * 0.38}
            y={102 - heightOf(now[bin] ?? 0)}
            height={heightOf(now[bin] ?? 0)}
          />
        </>
      ))}
      <path class="edge" d={`M0 103H${width}`} />
    </svg>
  );
};
