import { randomUUID } from 'node:crypto';
import type { FC } from 'hono/jsx';
import type { Chrome } from '../deps.ts';
import { Act, Why } from './parts.tsx';

/** Ends an open night, or an open run of no night: asked to stop cleanly, or at once. */
export const EndActs: FC<{ of: 'night' | 'run'; runId: string; chrome: Chrome }> = ({
  of,
  runId,
  chrome,
}) => (
  <details id={`end-${of}`}>
    <summary id={`end-${of}-summary`}>Cancel or terminate this {of}</summary>
    <Act action={`/acts/${of}-end`} chrome={chrome} hidden={{ runId }}>
      <Why id={`why-end-${of}`} />
      <div class="choices">
        <button type="submit" name="how" value="cancel" class="danger">
          Cancel the {of} <span>What works is asked to stop; it tidies up and writes its rows.</span>
        </button>
        <button type="submit" name="how" value="terminate" class="danger">
          Terminate the {of}{' '}
          <span>At once and without tidying up, for what does not stop when it is asked.</span>
        </button>
      </div>
    </Act>
  </details>
);

export const FORCE_WORDS = 'Also when what it needs did not succeed';

/** Whether a task is run although a need is not met. */
export const Force: FC<{ id: string }> = ({ id }) => (
  <div class="field check">
    <input type="checkbox" id={id} name="force" value="yes" />{' '}
    <label for={id}>{FORCE_WORDS} (recorded)</label>
  </div>
);

/** Runs a task that is over again, for the same session and universe. */
export const RetryAct: FC<{ runId: string; chrome: Chrome }> = ({ runId, chrome }) => (
  <section class="panel" id="retry" aria-labelledby="retry-head">
    <h2 id="retry-head">Retry it</h2>
    <Act action="/acts/retry" chrome={chrome} hidden={{ runId, key: randomUUID() }}>
      <Force id="force-retry" />
      <Why id="why-retry" />
      <button type="submit" class="main">
        Retry the task
      </button>
    </Act>
  </section>
);
