import type { WorkflowInterceptors, WorkflowOutboundCallsInterceptor } from '@temporalio/workflow';

import { STEP_WORDS } from '../../contracts/wire/step-words.ts';
import { tableRow } from './markdown.ts';

type Step = { asked: number; expected: number; done: number; pending: Map<number, string> };

/** More names than this do not fit into a cell. */
const MAX_NAMED = 3;

/** Steps of this run in the order in which they were first asked for; module state is a workflow's own. */
const steps = new Map<string, Step>();
let onChange: () => void = () => undefined;

/** Calls `show` whenever a step was asked for or has ended. */
export function whenStepsChange(show: () => void): void {
  onChange = show;
}

/** How many of a step there will be, where they are not all asked for at once. */
export function expectSteps(activityType: string, count: number): void {
  stepOf(activityType).expected = count;
}

/** What the run has done and what it waits for, as a table of Markdown; empty before its first step. */
export function stepTable(): string[] {
  const rows = [...steps].filter(([, { asked }]) => asked > 0).map(([type, step]) => rowOf(type, step));
  if (rows.length === 0) return [];
  return ['', tableRow(['step', 'done', 'under way']), '|:---|:---|:---|', ...rows.map(tableRow)];
}

function rowOf(activityType: string, { asked, expected, done, pending }: Step): string[] {
  const total = Math.max(asked, expected);
  const [one, many] = STEP_WORDS[activityType] ?? [activityType, activityType];
  const names = [...pending.values()].filter((name) => name !== one);
  const more = names.length > MAX_NAMED ? ` and ${names.length - MAX_NAMED} more` : '';
  const underWay =
    pending.size > 0 && names.length === 0 ? 'yes' : names.slice(0, MAX_NAMED).join('; ') + more;
  return [total > 1 ? many : one, `${done} of ${total}`, underWay];
}

function stepOf(activityType: string): Step {
  const known = steps.get(activityType);
  if (known !== undefined) return known;
  const step: Step = { asked: 0, expected: 0, done: 0, pending: new Map() };
  steps.set(activityType, step);
  return step;
}

/**
 * Names each activity in the Web UI and counts it. Summaries are no part of what a replay compares, and nothing here
 * waits, so that branches go on in the order they had without it.
 */
export function interceptors(): WorkflowInterceptors {
  const outbound: WorkflowOutboundCallsInterceptor = {
    // oxlint-disable-next-line typescript/promise-function-async -- see above
    scheduleActivity: (input, next) => {
      const { activityType, seq, options } = input;
      const summary = options.summary ?? STEP_WORDS[activityType]?.[0];
      if (summary === undefined) return next(input);
      const step = stepOf(activityType);
      step.asked += 1;
      step.pending.set(seq, summary);
      const result = next({ ...input, options: { ...options, summary } });
      const end = (done: number): void => {
        step.pending.delete(seq);
        step.done += done;
        onChange();
      };
      result.then(
        () => end(1),
        () => end(0),
      );
      onChange();
      return result;
    },
  };
  return { inbound: [], outbound: [outbound] };
}
