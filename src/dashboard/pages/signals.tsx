import type { FC } from 'hono/jsx';
import type { SignalHead } from '../../db/queries/dashboard-signals.ts';
import type { StoredSignal } from '../../db/queries/predictions.ts';
import { readingOf } from '../../db/queries/report.ts';
import { ChooseNight, NoResults } from '../components/choose-night.tsx';
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
  /** All in the order asked for; `looked`: the text in which a search looks. */
  rows: (StoredSignal & { looked: string; isFound: boolean })[];
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
  const { session } = chosen;
  if (session === null) {
    return (
      <NoResults action="/signals" chosen={chosen} title="Signals" none="No signals">
        <p>
          The overnight scan (task 3) leaves them. <a href="/">Tonight</a> shows whether it has run.
        </p>
      </NoResults>
    );
  }
  const choose = <ChooseNight action="/signals" chosen={chosen} />;
  if (set === null) {
    return (
      <>
        <PageHead title={`Signals of ${session}`} aside={choose} />
        <Empty title="None of them is kept">
          <p>The overnight scan of this session has run; the signals it left are no longer stored.</p>
        </Empty>
      </>
    );
  }
  const found = rows.filter(({ isFound }) => isFound).length;
  const here = { session, universe: chosen.universe };
  return (
    <>
      <PageHead title={`Signals of ${session}`} aside={choose}>
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
          ['Symbols', count(rows.length)],
          ['Issued', count(view.issued)],
          ['Base rate', fixed(set.baseRate)],
        ]}
      />
      <section class="panel">
        <form method="get" action="/signals" role="search" class="field">
          <input type="hidden" name="session" value={session} />
          <input type="hidden" name="universe" value={chosen.universe} />
          <input type="hidden" name="sort" value={view.order.sort} />
          <input type="hidden" name="dir" value={view.order.descending ? 'down' : 'up'} />
          <label for="find">Find a symbol, a sector or a reason</label>
          <input
            type="search"
            id="find"
            name="find"
            value={view.find}
            maxlength={100}
            data-filter="signals"
            autocomplete="off"
          />
          <p class="small muted" id="find-found" role="status">
            {view.find === '' ? '' : `${found} of ${rows.length} rows`}
          </p>
        </form>
        {view.find === '' ? null : (
          <p class="small">
            <a href={`/signals?${new URLSearchParams(here).toString()}`}>Show all</a>
          </p>
        )}
        <Rows view={view} />
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
        <caption>{count(rows.length)} symbols; a head sorts by its column</caption>
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
            <tr data-find={row.looked} hidden={!row.isFound}>
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
