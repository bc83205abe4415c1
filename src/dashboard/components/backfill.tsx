import type { FC } from 'hono/jsx';
import type { Backfill } from '../../temporal/backfill.ts';
import type { Chrome } from '../deps.ts';
import { count } from '../format.ts';
import { Act, Badge, Facts, Time, Why } from './parts.tsx';
import { UniverseField } from './universes.tsx';

/** The range as it was typed; empty where it was not. */
export type BackfillFields = { from: string; to: string; universe: string; onlyMissing: boolean };

/** Asks for a look at a range; it changes nothing. */
export const BackfillForm: FC<{ universes: readonly string[]; fields: BackfillFields }> = (props) => {
  const { universes, fields } = props;
  return (
    <form method="get" action="/settings/backfill">
      <div class="row">
        <div class="field">
          <label for="backfill-from">First session</label>
          <input type="date" id="backfill-from" name="from" required value={fields.from} />
        </div>
        <div class="field">
          <label for="backfill-to">Last session</label>
          <input type="date" id="backfill-to" name="to" required value={fields.to} />
        </div>
        <UniverseField id="backfill-universe" universes={universes} universe={fields.universe} />
      </div>
      <p class="field">
        <label>
          <input type="checkbox" name="onlyMissing" value="true" checked={fields.onlyMissing} /> only sessions
          without a night that succeeded
        </label>
      </p>
      <button type="submit">Preview</button>
    </form>
  );
};

/** The backfill that runs, or how the last one ended. */
export const BackfillState: FC<{ of: Backfill; chrome: Chrome }> = ({ of, chrome }) => {
  const { state, universe, from, to, sessions, ended, current, requestedBy, why } = of;
  return (
    <>
      <Facts
        rows={[
          ['Range', `${from} to ${to}, ${universe}`],
          ['State', <Badge state={state} />],
          ['Nights', `${count(ended)} of ${count(sessions)}${current === null ? '' : `, now ${current}`}`],
          ['Begun', <Time at={of.startedAt} zone={chrome} />],
          ['By', `${requestedBy}: ${why}`],
        ]}
      />
      {state === 'running' && chrome.mayAct ? (
        <details>
          <summary>Cancel it</summary>
          <Act action="/acts/cancel-backfill" chrome={chrome}>
            <Why id="why-cancel-backfill" />
            <button type="submit" class="danger slim">
              Cancel it and the night it is at
            </button>
          </Act>
        </details>
      ) : null}
    </>
  );
};
