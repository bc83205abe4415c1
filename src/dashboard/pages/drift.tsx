import type { FC } from 'hono/jsx';
import type { SeriesDistribution } from '../../api/drift-distribution.ts';
import type { DriftCell, LastFlag } from '../../db/queries/dashboard-drift.ts';
import type { BaselineKind, StoredDriftRow } from '../../db/queries/drift.ts';
import { TwoDistributions } from '../components/charts.tsx';
import { ChooseNight, NoResults } from '../components/choose-night.tsx';
import { Cell } from '../components/heat-cell.tsx';
import { Badge, Facts, Figures, Notice, PageHead, Scroll, Table } from '../components/parts.tsx';
import { levelOf, nearestFirst } from '../drift-levels.ts';
import { count, fixed, percent, words } from '../format.ts';
import type { ChosenNight } from '../which-night.ts';

export type DriftView = {
  chosen: ChosenNight;
  kind: BaselineKind;
  rows: StoredDriftRow[];
  cells: DriftCell[];
  /** Sessions of the map, oldest first. */
  shown: string[];
  /** The last one up to the session. */
  flag: LastFlag | null;
  /** The series that was asked for; empty before one is chosen. */
  asked: string;
  /** Null: there is no such one. */
  series: ({ name: string } & SeriesDistribution) | null;
};

const LEGEND = [
  { status: 'stable', psi: 0, psiCritical: 1, label: 'stable, far from its bound' },
  { status: 'stable', psi: 0.8, psiCritical: 1, label: 'stable, near its bound' },
  { status: 'elevated', psi: 1, psiCritical: 1, label: 'elevated' },
  { status: 'alarm', psi: 1, psiCritical: 1, label: 'alarm' },
  { status: 'not_enough_data', psi: null, psiCritical: null, label: 'not enough data' },
  {
    status: 'not_monitored',
    psi: null,
    psiCritical: null,
    label: 'not monitored: it repeats another, or drifts by itself',
  },
] as const;
const TONES: Readonly<Record<string, string>> = { alarm: 'failed', elevated: 'partial', stable: 'succeeded' };

/** What has drifted: series by session, and each one's distribution beside its baseline. */
export const DriftPage: FC<{ view: DriftView }> = ({ view }) => {
  const { chosen, rows, kind } = view;
  const { session, universe } = chosen;
  if (session === null) {
    return (
      <NoResults action="/drift" chosen={chosen} title="Drift" none="No drift monitoring">
        <p>
          Drift monitoring (task 5) needs training and backtest. <a href="/">Tonight</a> shows whether it has
          run.
        </p>
      </NoResults>
    );
  }
  const own = nearestFirst(rows.filter(({ baselineKind }) => baselineKind === kind));
  const countOf = (status: string): string => count(own.filter((row) => row.status === status).length);
  const link = (feature: string): string => driftLink(view, { feature });
  const features = [...new Set(own.map(({ feature }) => feature))];
  const cells = new Map(view.cells.map((one) => [`${one.feature} ${one.sessionDate}`, one]));
  return (
    <>
      <PageHead
        title={`Drift of ${session}`}
        aside={<ChooseNight action="/drift" chosen={chosen} keep={{ kind }} />}
      >
        <p class="muted">
          Against the {kind} baseline;{' '}
          <a href={driftLink(view, { kind: kind === 'rolling' ? 'anchored' : 'rolling' })}>
            show the {kind === 'rolling' ? 'anchored' : 'rolling'} one
          </a>
        </p>
      </PageHead>
      <Flag flag={view.flag} session={session} />
      <Figures
        rows={[
          ['Alarms', countOf('alarm')],
          ['Elevated', countOf('elevated')],
          ['Stable', countOf('stable')],
          ['Not enough data', countOf('not_enough_data')],
        ]}
      />
      {view.series !== null ? (
        <Distribution series={view.series} />
      ) : view.asked === '' ? null : (
        <Notice tone="skip">
          <p>
            No {kind} baseline of “{view.asked}” was compared with on {session}.
          </p>
        </Notice>
      )}
      <section class="panel">
        <h2>Series by session</h2>
        <ul class="legend" aria-label="Shades">
          {LEGEND.map((one) => {
            const { tone, sign } = levelOf(one);
            return (
              <li>
                <span class={`cell ${tone}`} aria-hidden="true">
                  {sign}
                </span>
                {one.label}
              </li>
            );
          })}
        </ul>
        <Scroll label="Drift of each series by session">
          <table class="heat">
            <caption class="hidden-words">PSI against its bound, by series and session</caption>
            <thead>
              <tr>
                <td />
                {monthsOf(view.shown).map(({ month, sessions }) => (
                  <th scope="colgroup" colspan={sessions} class="month">
                    {month}
                  </th>
                ))}
              </tr>
              <tr>
                <td />
                {view.shown.map((date) => (
                  <th scope="col" title={date}>
                    {Number(date.slice(8))}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {features.map((feature) => (
                <tr>
                  <th scope="row">
                    <a href={link(feature)}>{feature.replace('prediction:', 'prediction of ')}</a>
                  </th>
                  {view.shown.map((date) => (
                    <td>
                      <Square cell={cells.get(`${feature} ${date}`)} />
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      </section>
      <section class="panel tall">
        <h2>Numbers of {session}</h2>
        {own.length === 0 ? (
          <p class="muted">
            Nothing was compared with the {kind} baseline of {universe}.
          </p>
        ) : (
          <Table
            caption="Alarms first, then those nearest to their bound: what past windows of the same series call extreme"
            columns={[
              { head: 'Series' },
              { head: 'State' },
              { head: 'PSI', numeric: true },
              { head: 'Bound', numeric: true },
              { head: 'KL', numeric: true },
              { head: 'KS', numeric: true },
              { head: 'Rows', numeric: true },
              { head: 'q', numeric: true },
            ]}
            rows={own.map((row) => [
              row.feature.replace('prediction:', 'prediction of '),
              <Badge state={TONES[row.status] ?? 'disabled'} label={words(row.status)} />,
              fixed(row.psi),
              fixed(row.psiCritical),
              fixed(row.klCurrentGivenBaseline),
              fixed(row.ksStatistic),
              count(row.currentRows),
              fixed(row.qValue),
            ])}
          />
        )}
      </section>
    </>
  );
};

/** Sessions in a row that are of the same month, in short. */
function monthsOf(sessions: readonly string[]): { month: string; sessions: number }[] {
  const months = [...new Set(sessions.map((date) => date.slice(0, 7)))];
  return months.map((month) => ({
    month,
    sessions: sessions.filter((date) => date.startsWith(month)).length,
  }));
}

function driftLink({ chosen, kind }: DriftView, change: { feature?: string; kind?: string }): string {
  const query = { session: chosen.session ?? '', universe: chosen.universe, kind, ...change };
  return `/drift?${new URLSearchParams(query).toString()}`;
}

const Square: FC<{ cell: DriftCell | undefined }> = ({ cell }) => {
  if (cell === undefined) return <span class="cell" />;
  const { tone, sign, words: told } = levelOf(cell);
  return (
    <Cell
      tone={tone}
      text={sign}
      words={`${cell.feature} of ${cell.sessionDate}: ${told}, PSI ${fixed(cell.psi)}, bound ${fixed(cell.psiCritical)}`}
    />
  );
};

const Flag: FC<{ flag: LastFlag | null; session: string }> = ({ flag, session }) => {
  if (flag === null) return null;
  if (flag.overSince !== null)
    return (
      <p class="muted">
        The last retraining flag, of {flag.sessionDate}, is over: the monitoring of {flag.overSince} found no
        alarm.
      </p>
    );
  const reasons = Array.isArray(flag.reasons) ? flag.reasons : [];
  return (
    <Notice
      tone={flag.sessionDate === session ? 'fail' : 'wait'}
      title={`Retraining may be due: flag of ${flag.sessionDate}`}
    >
      {flag.sessionDate === session ? null : (
        <p>Every monitoring since then has found alarms. It was raised for these:</p>
      )}
      <ul>
        {reasons.map((reason: unknown) => (
          <li>
            {typeof reason === 'object' && reason !== null && 'words' in reason
              ? String(reason.words)
              : String(reason)}
          </li>
        ))}
      </ul>
    </Notice>
  );
};

const Distribution: FC<{ series: NonNullable<DriftView['series']> }> = ({ series }) => {
  const { name, edges, baseline, current } = series;
  const labelOf = (bin: number): string => {
    if (bin === 0) return `below ${fixed(edges[0])}`;
    return bin >= edges.length
      ? `${fixed(edges.at(-1))} and more`
      : `${fixed(edges[bin - 1])} to ${fixed(edges[bin])}`;
  };
  return (
    <section class="panel">
      <h2>{name.replace('prediction:', 'Prediction of ')}</h2>
      <Facts
        rows={[
          [
            'Baseline',
            `${count(baseline.rows)} values of ${baseline.firstSession} to ${baseline.lastSession}`,
          ],
          [
            'Now',
            current === null
              ? 'no values are stored of it beside what the log says'
              : `${count(current.rows)} values that nights have left of the last ${count(current.sessions)} sessions up to ${current.lastSession}`,
          ],
        ]}
      />
      {current === null ? null : (
        <figure>
          <TwoDistributions
            before={baseline.shares}
            now={current.shares}
            title={`${name}: baseline (left) and now (right) by bin`}
          />
          <figcaption>
            Bins from {labelOf(0)} to {labelOf(edges.length)}; in each left the baseline (grey), right now
            (blue).
          </figcaption>
        </figure>
      )}
      <details>
        <summary>Numbers</summary>
        <Table
          caption="Shares by bin of the baseline"
          columns={[{ head: 'Bin' }, { head: 'Baseline', numeric: true }, { head: 'Now', numeric: true }]}
          rows={[
            ...baseline.shares.map((share, bin) => [
              labelOf(bin),
              percent(share),
              percent(current?.shares[bin]),
            ]),
            ...(baseline.missing === null
              ? []
              : [['no value', percent(baseline.missing), percent(current?.missing)]]),
          ]}
        />
      </details>
    </section>
  );
};
