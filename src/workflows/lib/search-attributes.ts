import { defineSearchAttributeKey } from '@temporalio/common';
import { upsertSearchAttributes, workflowInfo } from '@temporalio/workflow';

import type { TaskInput } from '../../contracts/activities.ts';
import type { NightState, Trigger } from '../../contracts/wire/names.ts';
import type { ManualRunSignal, ReviewState } from '../../contracts/wire/messages.ts';

const SESSION_DATE = defineSearchAttributeKey('SessionDate', 'KEYWORD');
const TASK = defineSearchAttributeKey('Task', 'KEYWORD');
const TRIGGER = defineSearchAttributeKey('Trigger', 'KEYWORD');
const RUN_STATE = defineSearchAttributeKey('RunState', 'KEYWORD');
const REVIEW_STATE = defineSearchAttributeKey('ReviewState', 'KEYWORD');
const UNIVERSE = defineSearchAttributeKey('Universe', 'KEYWORD');
const SCHEDULED_START = defineSearchAttributeKey('TemporalScheduledStartTime', 'DATETIME');

/** Attributes of a task's child workflow. */
export function taskAttributes(input: TaskInput) {
  return [
    { key: SESSION_DATE, value: input.sessionDate },
    { key: TASK, value: input.task },
    { key: TRIGGER, value: input.trigger },
    { key: UNIVERSE, value: input.universe },
    { key: REVIEW_STATE, value: 'none' },
  ];
}

/** Attributes of a manual run from the first moment on, so that it can be found while it waits. */
export function manualRunAttributes(run: ManualRunSignal) {
  return [
    { key: SESSION_DATE, value: run.sessionDate },
    { key: TASK, value: run.task },
    { key: TRIGGER, value: run.trigger },
    { key: UNIVERSE, value: run.universe },
    { key: REVIEW_STATE, value: 'none' },
  ];
}

/** Says on the running workflow what it is about; known only after its plan. */
export function tagRun(run: { sessionDate: string; universe: string; trigger: Trigger }): void {
  upsertSearchAttributes([
    { key: SESSION_DATE, value: run.sessionDate },
    { key: TRIGGER, value: run.trigger },
    { key: UNIVERSE, value: run.universe },
    { key: REVIEW_STATE, value: 'none' },
  ]);
}

/** A backfill is of many sessions: its nights name theirs. */
export function tagBackfill(universe: string): void {
  upsertSearchAttributes([
    { key: TRIGGER, value: 'backfill' },
    { key: UNIVERSE, value: universe },
    { key: REVIEW_STATE, value: 'none' },
  ]);
}

/** A decision about market data belongs to a session and to no universe. */
export function tagDecision(run: { sessionDate: string; task: string }): void {
  upsertSearchAttributes([
    { key: SESSION_DATE, value: run.sessionDate },
    { key: TASK, value: run.task },
    { key: TRIGGER, value: 'manual' },
    { key: REVIEW_STATE, value: 'none' },
  ]);
}

export function tagReview(state: ReviewState): void {
  upsertSearchAttributes([{ key: REVIEW_STATE, value: state }]);
}

/** How a run ended in our words: to the server a partial night is just `Completed`. */
export function tagState(state: NightState): void {
  upsertSearchAttributes([{ key: RUN_STATE, value: state }]);
}

/** The schedule's nominal instant (UTC ISO) of a run that a schedule started, else null. */
export function nominalInstant(): string | null {
  return workflowInfo().typedSearchAttributes.get(SCHEDULED_START)?.toISOString() ?? null;
}
