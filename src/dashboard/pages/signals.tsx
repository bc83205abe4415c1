import type { FC } from 'hono/jsx';
import type { SignalHead } from '../../db/queries/dashboard-signals.ts';
import type { StoredSignal } from '../../db/queries/predictions.ts';
import { readingOf } from '../../db/queries/report.ts';
import { ChooseNight } from '../components/choose-night.tsx';
import { Mark } from '../components/marks.tsx';
import { Empty, Figures, Notice, PageHead, Scroll, Time } from '../components/parts.tsx';
import type { Chrome } from '../deps.ts';
import { count, fixed, sentence, signed, words } from '../format.ts';
import { edgeOf, type Order, type SortKey } from '../signal-order.ts';
import type { ChosenNight } from '../which-night.ts';

export type SignalsView = {
  chosen: ChosenNight;
  /** With the base rate of the symbols that were scored. */
  set: (SignalHead & { baseRate: number | null }) | null;
  /** In the order asked for, only those that were looked for. */
  rows: StoredSignal[];
  all: number;
  issued: number;
  sectors: Map<string, string>;
  order: Order;
  find: string;
};

const LOOKS = {
  buy: { tone: 'ok', mark: 'check' },
  sell: { tone: 'fail', mark: 'minus' },
  hold: { tone: 'skip', mark: 'dot' },
  not_scored: { tone: 'skip', mark: 'cross' },
} as const;

/** Which side of the book, in the words of the model's label. */
export const Side: FC<{ signal: Pick<StoredSignal, 'side' | 'reasonCode'> }> = ({ signal }) => {
  const { tone, mark } = LOOKS[signal.side];
  return (
    <span class={`badge is-${tone}`}>
      <Mark name={mark} />
      {words(readingOf(signal))}
    </span>
  );
};

/** What a session's scan says about every symbol: sortable by its heads, searchable. */
export const SignalsPage: FC<{ view: SignalsView; chrome: Chrome }> = ({ view, chrome }) => {
  const { chosen, set, rows } = view;
  if (set === null || chosen.session === null) {
    return (
      <>
        <PageHead title="Signals" />
        <Empty title="No signals yet">
          <p>
            The overnight scan (task 3) leaves them. <a href="/">Tonight</a> shows whether it has run.
          </p>
        </Empty>
      </>
    );
  }
  const { session } = chosen;
  const here = { session, universe: chosen.universe };
  return (
    <>
      <PageHead
        title={`Signals of ${session}`}
        aside={<ChooseNight action="/signals" {...chosen} session={session} />}
      >
        <p class="muted">
          For the session after it. Model{' '}
          <a href={`/models?version=${encodeURIComponent(set.modelVersion)}`}>{set.modelVersion}</a>, written{' '}
          <Time at={set.writtenAt} zone={chrome} />
        </p>
      </PageHead>
      {view.issued === 0 ? (
        <Notice tone="skip" title="No signal was issued">
          <p>
            The ranking is shown all the same: the model shows no edge it could defend, or nothing lies far
            enough from the base rate.
          </p>
        </Notice>
      ) : null}
      {set.simulated ? (
        <Notice tone="skip">
          <p>
            Simulated: written after the session it is about had begun, so it is no part of the live record.
          </p>
        </Notice>
      ) : null}
      <Figures
        rows={[
          ['Symbols', count(view.all)],
          ['Issued', count(view.issued)],
          ['Base rate', fixed(set.baseRate)],
        ]}
      />
      <section class="panel">
        <form method="get" action="/signals" role="search" class="field">
          <input type="hidden" name="session" value={session} />
          <input type="hidden" name="universe" value={chosen.universe} />
          <label for="find">Find a symbol, a sector or a reason</label>
          <input
            type="search"
            id="find"
            name="find"
            value={view.find}
            data-filter="signals"
            autocomplete="off"
          />
          <p class="small muted" id="find-found" role="status" />
        </form>
        {rows.length === 0 ? (
          <p>
            No symbol, sector or reason of {session} holds “{view.find}”.{' '}
            <a href={`/signals?${new URLSearchParams(here).toString()}`}>Show all</a>
          </p>
        ) : (
          <Rows view={view} />
        )}
        <p class="small">
          With all digits:{' '}
          <a href={`/api/v1/signals?${new URLSearchParams({ ...here, format: 'csv' }).toString()}`}>CSV</a>
        </p>
      </section>
    </>
  );
};

const HEADS: readonly { key: SortKey | null; title: string; numeric?: boolean; wide?: boolean }[] = [
  { key: 'symbol', title: 'Symbol' },
  { key: 'rank', title: 'Rank', numeric: true },
  { key: 'signal', title: 'Signal' },
  { key: 'probability', title: 'Probability', numeric: true },
  { key: 'edge', title: 'Less base rate', numeric: true, wide: true },
  { key: null, title: 'Sector', wide: true },
  { key: null, title: 'Why' },
];

const Rows: FC<{ view: SignalsView }> = ({ view }) => {
  const { rows, order, chosen, find } = view;
  const link = (sort: SortKey): string => {
    const down = order.sort === sort && !order.descending;
    const query = {
      session: chosen.session ?? '',
      universe: chosen.universe,
      find,
      sort,
      dir: down ? 'down' : 'up',
    };
    return `/signals?${new URLSearchParams(query).toString()}`;
  };
  return (
    <Scroll label="Signals">
      <table id="signals">
        <caption>
          {find === ''
            ? `${count(rows.length)} symbols`
            : `${count(rows.length)} of ${count(view.all)} with “${find}”`}
          ; a head sorts by its column
        </caption>
        <thead>
          <tr>
            {HEADS.map(({ key, title, numeric = false, wide = false }) => (
              <th
                scope="col"
                class={[numeric ? 'num' : '', wide ? 'wide-only' : ''].join(' ').trim()}
                aria-sort={key === order.sort ? (order.descending ? 'descending' : 'ascending') : undefined}
              >
                {key === null ? title : <a href={link(key)}>{title}</a>}
                {key === order.sort ? <Mark name={order.descending ? 'down' : 'up'} /> : null}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr>
              <th scope="row">
                <a
                  href={`/symbols/${encodeURIComponent(row.symbol)}?session=${chosen.session}&universe=${encodeURIComponent(chosen.universe)}`}
                >
                  {row.symbol}
                </a>
              </th>
              <td class="num">{row.rank ?? '–'}</td>
              <td>
                <Side signal={row} />
              </td>
              <td class="num">{fixed(row.probability)}</td>
              <td class="num wide-only">{signed(edgeOf(row))}</td>
              <td class="wide-only">{view.sectors.get(row.symbol) ?? ''}</td>
              <td class="long">{sentence(row.reasonWords)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
};
