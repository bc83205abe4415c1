import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import {
  CancellationScope,
  executeChild,
  ParentClosePolicy,
  setCurrentDetails,
  sleep,
  upsertMemo,
} from '@temporalio/workflow';

import type {
  BackfillInput,
  BackfillNight,
  BackfillProgressMemo,
  BackfillResult,
} from '../contracts/backfill.ts';
import { nightWorkflowId } from '../contracts/wire/names.ts';
import { NIGHT_DETAILS } from '../contracts/wire/user-metadata.ts';
import { describeFailure } from './lib/failure.ts';
import { tagBackfill, tagState } from './lib/search-attributes.ts';
import type { nightlyPipeline } from './nightly-pipeline.ts';

/** Between two tries to start a night of which another one runs: at first, and at most. */
const BUSY_MS = 2_000;
const MAX_BUSY_MS = 300_000;
const GOOD = new Set<string>(['succeeded', 'no_session', 'disabled']);

/**
 * Nights of many sessions: each the same night that a person would start, one after the other, so that each finds what
 * those before it left. One that fails does not keep the next from starting; a review is waited for. To cancel this
 * cancels the night that runs; to terminate it leaves that night to itself.
 */
export async function nightBackfill(input: BackfillInput): Promise<BackfillResult> {
  const { universe, sessions } = input;
  const nights: BackfillNight[] = [];
  const show = (memo: Pick<BackfillProgressMemo, 'state' | 'current'>): void => {
    const progress: BackfillProgressMemo = { ...memo, ended: nights.length };
    upsertMemo(progress);
    setCurrentDetails(detailsOf(input, nights, progress));
    if (progress.state !== 'running') tagState(progress.state);
  };
  tagBackfill(universe);
  try {
    for (const sessionDate of sessions) {
      show({ state: 'running', current: sessionDate });
      nights.push(await runNight(input, sessionDate));
    }
  } catch (error) {
    show({ state: CancellationScope.current().consideredCancelled ? 'cancelled' : 'failed', current: null });
    throw error;
  }
  const good = nights.filter(({ state }) => GOOD.has(state)).length;
  const lost = nights.filter(({ state }) => state === 'failed' || state === 'cancelled').length;
  const state = good === nights.length ? 'succeeded' : lost === nights.length ? 'failed' : 'partial';
  show({ state, current: null });
  return { universe, state, nights };
}

/** One night to its end, whichever that is. Throws only when the backfill itself is cancelled. */
async function runNight(
  { universe, requestedBy }: BackfillInput,
  sessionDate: string,
): Promise<BackfillNight> {
  for (let busyMs = BUSY_MS; ; busyMs = Math.min(2 * busyMs, MAX_BUSY_MS)) {
    try {
      const { state, reason } = await executeChild<typeof nightlyPipeline>('nightlyPipeline', {
        workflowId: nightWorkflowId(sessionDate, universe),
        args: [{ trigger: 'backfill', sessionDate, universe, requestedBy }],
        workflowIdReusePolicy: 'ALLOW_DUPLICATE',
        parentClosePolicy: ParentClosePolicy.ABANDON,
        staticSummary: `night of ${sessionDate}, ${universe}`,
        staticDetails: NIGHT_DETAILS,
      });
      return { sessionDate, state, reason };
    } catch (error) {
      if (CancellationScope.current().consideredCancelled) throw error;
      if (error instanceof WorkflowExecutionAlreadyStartedError) {
        await sleep(busyMs, { summary: `another night of ${sessionDate} runs` });
        continue;
      }
      const { type, message } = describeFailure(error);
      return { sessionDate, state: type === 'Cancelled' ? 'cancelled' : 'failed', reason: message };
    }
  }
}

function detailsOf(
  { universe, sessions, requestedBy }: BackfillInput,
  nights: readonly BackfillNight[],
  { state, current }: BackfillProgressMemo,
): string {
  return [
    `**Backfill of ${universe}, ${sessions[0] ?? ''} to ${sessions.at(-1) ?? ''}, by ${requestedBy}: ${state}**`,
    '',
    `${nights.length} of ${sessions.length} nights have ended${current === null ? '' : `, now ${current}`}`,
    '',
    ...(nights.length === 0 ? [] : ['| session | state |', '|:---|:---|']),
    ...nights.map(({ sessionDate, state: word }) => `| ${sessionDate} | ${word} |`),
  ].join('\n');
}
