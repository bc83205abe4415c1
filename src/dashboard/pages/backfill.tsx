import type { FC } from 'hono/jsx';
import { type BackfillPlan, datesOf } from '../../temporal/backfill.ts';
import { type BackfillFields, BackfillForm } from '../components/backfill.tsx';
import { Act, Badge, Notice, PageHead, Table, Why } from '../components/parts.tsx';
import type { Chrome } from '../deps.ts';
import { count, duration } from '../format.ts';

export type BackfillView = {
  universes: string[];
  fields: BackfillFields;
  /** What the range would run; null, with why, where it cannot be. */
  plan: BackfillPlan | null;
  refused: string | null;
};

/** What a backfill would do, and the button that does it. */
export const BackfillPage: FC<{ view: BackfillView; chrome: Chrome }> = ({ view, chrome }) => (
  <>
    <PageHead title="Backfill">
      <p class="muted">
        Each session is a night of its own, in order, never two at once. Nothing runs before you confirm it.
      </p>
    </PageHead>
    <section class="panel">
      <h2>Range</h2>
      <BackfillForm universes={view.universes} fields={view.fields} />
    </section>
    {view.refused === null ? null : (
      <Notice tone="fail" title="This range cannot be run">
        <p>{view.refused}</p>
      </Notice>
    )}
    {view.plan === null ? null : <Preview plan={view.plan} chrome={chrome} />}
  </>
);

const Preview: FC<{ plan: BackfillPlan; chrome: Chrome }> = ({ plan, chrome }) => {
  const { universe, from, to, onlyMissing, sessions, notOver, coverage, notCovered, token } = plan;
  const nights = datesOf(sessions).length;
  return (
    <section class="panel">
      <h2>
        {count(nights)} {nights === 1 ? 'night' : 'nights'}
      </h2>
      <p>{estimateOf(plan, nights)}</p>
      {notOver.length === 0 ? null : <p>Left out, their data cannot be there yet: {notOver.join(', ')}.</p>}
      {coverage === null || notCovered.length === 0 ? null : (
        <p>
          Left out, {coverage.provider} has {coverage.firstSession ?? 'the past'} to{' '}
          {coverage.lastSession ?? 'now'}: {count(notCovered.length)}{' '}
          {notCovered.length === 1 ? 'session' : 'sessions'}.
        </p>
      )}
      <Table
        caption={`Sessions of the exchange from ${from} to ${to}, ${universe}`}
        columns={[{ head: 'Session' }, { head: 'Newest night' }, { head: 'This backfill' }]}
        rows={sessions.map(({ sessionDate, lastState, succeeded, runs }) => [
          sessionDate,
          lastState === null ? 'none' : <Badge state={lastState} />,
          runs ? (succeeded ? 'runs it again' : 'runs it') : 'leaves it out',
        ])}
      />
      {nights === 0 || !chrome.mayAct ? null : (
        <Act
          action="/acts/backfill"
          chrome={{ ...chrome, here: '/settings' }}
          hidden={{ from, to, universe, onlyMissing: String(onlyMissing), token }}
        >
          <Why id="why-backfill" />
          <button type="submit" class="main">
            Run {nights === 1 ? 'this night' : `these ${count(nights)} nights`}
          </button>
        </Act>
      )}
    </section>
  );
};

function estimateOf({ nightSeconds, measuredSessions }: BackfillPlan, nights: number): string {
  if (nightSeconds === null)
    return 'How long it takes is not known: no night of this universe has succeeded yet.';
  const each = duration(nightSeconds * 1000);
  const total = duration(nightSeconds * 1000 * nights);
  return `About ${total}: ${each} a night, the median of ${count(measuredSessions)} earlier ${measuredSessions === 1 ? 'session' : 'sessions'}.`;
}
