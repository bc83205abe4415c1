import type { FC } from 'hono/jsx';
import type { SessionCoverage, SymbolFreshness } from '../../db/queries/dashboard-data.ts';
import type { QuarantineRow, QuarantineStatus } from '../../db/queries/quarantine.ts';
import { BarTable } from '../components/charts.tsx';
import { Act, Badge, Empty, Figures, Notice, PageHead, Table, Time, Why } from '../components/parts.tsx';
import { UniverseLinks } from '../components/universes.tsx';
import type { Chrome } from '../deps.ts';
import { count, percent, sentence, words } from '../format.ts';

export type DataView = {
  universe: string;
  universes: string[];
  freshness: SymbolFreshness[];
  coverage: SessionCoverage[];
  quarantine: QuarantineRow[];
  counts: Record<QuarantineStatus, number>;
  /** The newest that should be here by now. */
  dueSession: string | null;
};

export const QUARANTINE_ROWS = 50;

/** What data there is, how fresh it is, and what a person has to decide about. */
export const DataPage: FC<{ view: DataView; chrome: Chrome }> = ({ view, chrome }) => {
  const { universe, freshness, coverage, counts } = view;
  if (freshness.length === 0) {
    return (
      <>
        <PageHead title="Data" />
        <Empty title="No data yet">
          <p>
            Ingestion (task 1) brings it in. <a href="/">Tonight</a> shows whether it has run.
          </p>
        </Empty>
      </>
    );
  }
  const newest = freshness.reduce<string | null>(
    (last, { lastBar }) => (lastBar !== null && (last === null || lastBar > last) ? lastBar : last),
    null,
  );
  const have = freshness.filter(({ lastBar }) => lastBar !== null && lastBar === newest).length;
  // Of the symbols that have any: the one that is least behind has the newest bar.
  const behind = Math.min(...freshness.flatMap((one) => (one.lastBar === null ? [] : [one.behind])));
  const [today] = coverage;
  const others = view.universes.filter((name) => name !== universe);
  return (
    <>
      <PageHead title="Data">
        <p class="muted">
          Universe {universe}
          {others.length === 0 ? '' : ', '}
          <UniverseLinks path="/data" universes={others} />
        </p>
      </PageHead>
      {newest !== null && behind > 0 ? (
        <Notice tone="skip">
          <p>
            The newest bar of {universe} is of {newest}: {count(behind)}{' '}
            {behind === 1 ? 'later session' : 'later sessions'} should be here by now, the last of{' '}
            {view.dueSession}.
          </p>
        </Notice>
      ) : null}
      <Figures
        rows={[
          ['Newest session', newest ?? '–'],
          ['Coverage of it', today === undefined ? '–' : percent(today.bars / freshness.length)],
          ['Have its bar', `${count(have)} of ${count(freshness.length)}`],
          ['Held back', count(counts.pending)],
        ]}
      />
      <Quarantine view={view} chrome={chrome} />
      <div class="cols">
        <section class="panel">
          <h2>Freshness</h2>
          <div class="field">
            <label for="find-symbol">Find</label>
            <input type="search" id="find-symbol" data-filter="freshness" autocomplete="off" />
            <p class="small muted" id="find-symbol-found" role="status" />
          </div>
          <Table
            id="freshness"
            caption="Against the newest session that should be here by now, by sessions and not by the clock: a closed market makes nothing stale. Oldest first"
            columns={[
              { head: 'Symbol' },
              { head: 'State' },
              { head: 'Newest bar' },
              { head: 'First bar' },
              { head: 'Doubtful', numeric: true },
            ]}
            rows={freshness.map((one) => [
              one.name === null ? one.symbol : <span title={one.name}>{one.symbol}</span>,
              <Fresh of={one} usual={behind} />,
              one.lastBar ?? '–',
              one.firstBar ?? '–',
              count(one.doubtful),
            ])}
          />
        </section>
        <section class="panel">
          <h2>Coverage</h2>
          <BarTable
            caption={`Members with a bar, of ${count(freshness.length)}, by session, from the newest that has any back`}
            heads={['Session', 'Bars']}
            rows={coverage.map(({ sessionDate, bars, doubtful }) => ({
              name: sessionDate,
              value: bars / freshness.length,
              text: `${count(bars)}${doubtful > 0 ? `, ${count(doubtful)} doubtful` : ''}`,
            }))}
          />
        </section>
      </div>
    </>
  );
};

/** `usual`: how far behind the members are that have the newest bar. */
const Fresh: FC<{ of: SymbolFreshness; usual: number }> = ({ of: { lastBar, behind }, usual }) => {
  if (lastBar === null) return <Badge state="failed" label="missing" />;
  if (behind === 0) return <Badge state="succeeded" label="fresh" />;
  return <Badge state={behind - usual > 1 ? 'failed' : 'partial'} label={`${count(behind)} behind`} />;
};

const Quarantine: FC<{ view: DataView; chrome: Chrome }> = ({ view, chrome }) => {
  const { quarantine, counts } = view;
  const all = counts.pending + counts.released + counts.rejected;
  return (
    <section class="panel">
      <h2>Quarantine</h2>
      <p class="muted">
        Rows that cannot be true, splits and dividends that prices deny, tickers after a long gap.{' '}
        {count(counts.pending)} {counts.pending === 1 ? 'waits' : 'wait'}, {count(counts.released)} released,{' '}
        {count(counts.rejected)} rejected.
      </p>
      {all === 0 ? (
        <p>Nothing has been held back.</p>
      ) : (
        <Table
          caption={`Those that wait first${all > quarantine.length ? `; the first ${count(quarantine.length)} of ${count(all)}` : ''}`}
          columns={['What', 'State', 'Why it is held', 'As delivered', 'Decision'].map((head) => ({
            head,
            long: head === 'Why it is held' || head === 'Decision',
          }))}
          rows={quarantine.map((row, index) => [
            <>
              {row.symbol} <span class="nowrap">{row.sessionDate}</span>
              {row.subject === 'bar' ? '' : `, ${row.subject}`}
              <span class="small muted"> {row.provider}</span>
            </>,
            <Badge
              state={
                row.status === 'pending'
                  ? 'awaiting_review'
                  : row.status === 'released'
                    ? 'succeeded'
                    : 'cancelled'
              }
              label={row.status === 'pending' ? 'waits' : row.status}
            />,
            sentence(row.reason),
            <Delivered row={row} />,
            row.status === 'pending' ? (
              chrome.mayAct ? (
                <Decide row={row} chrome={chrome} index={index} />
              ) : (
                'an operator decides'
              )
            ) : (
              <>
                by {row.decidedBy}, <Time at={row.decidedAt} zone={chrome} />: {row.decisionReason}
              </>
            ),
          ])}
        />
      )}
    </section>
  );
};

const Delivered: FC<{ row: QuarantineRow }> = ({ row }) => (
  <>
    {row.raw.map(({ open, high, low, close, volume }, index) => (
      <div class="mono nowrap">
        {row.raw.length > 1 ? `${index + 1}: ` : ''}
        {[open, high, low, close].map((value) => value ?? 'null').join(' ')} × {volume ?? 'null'}
      </div>
    ))}
  </>
);

const Decide: FC<{ row: QuarantineRow; chrome: Chrome; index: number }> = ({ row, chrome, index }) => {
  const { symbol, sessionDate, subject, provider, raw } = row;
  const what = `${symbol} ${sessionDate}`;
  return (
    <details>
      <summary>
        Decide<span class="hidden-words"> about {what}</span>
      </summary>
      <Act action="/acts/quarantine" chrome={chrome} hidden={{ symbol, sessionDate, subject, provider }}>
        {raw.length > 1 ? (
          <div class="field">
            <label for={`row-${index}`}>Row to release</label>
            <select id={`row-${index}`} name="row">
              {raw.map((_, at) => (
                <option value={String(at + 1)}>{at + 1}</option>
              ))}
            </select>
          </div>
        ) : null}
        <Why id={`why-held-${index}`} />
        <div class="buttons">
          <button type="submit" name="decision" value="release" class="slim">
            Release
          </button>
          <button type="submit" name="decision" value="reject" class="slim danger">
            Reject
          </button>
        </div>
        <p class="small muted">
          {subject === 'bar'
            ? 'Release makes it a bar from now on; reject keeps it out.'
            : `Release believes the ${words(subject.split(' ')[0] ?? subject)} from now on; reject does not.`}
        </p>
      </Act>
    </details>
  );
};
