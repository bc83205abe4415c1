import type { ReviewDecision } from '../activities.ts';
import type { Task, Trigger } from './names.ts';

/** Names and payloads of signals and updates: workflows define them, clients send them. */

/** To `jobQueue`: a starter wants a slot for its task. Asked again until it is answered. */
export const REQUEST_SLOT = 'requestSlot';

/** Reason of the state `waiting` while a task wants a slot: a new queue finds by it in the rows who waits. */
export const WAITS_FOR_SLOT = 'for a slot';

/** How the reason of a task begins that failed because nobody decided in time. */
export const REVIEW_EXPIRED = 'review expired';

/** To `jobQueue`: the task has ended, or nobody waits for the grant any more. */
export const RELEASE_SLOT = 'releaseSlot';

/** To `jobQueue`: start the manual run whose request row has this id. Known ids are ignored. */
export const MANUAL_RUN = 'manualRun';
export type ManualRunSignal = {
  taskRunId: string;
  task: Task;
  sessionDate: string;
  universe: string;
  trigger: Trigger;
};

/** Query of `jobQueue`. */
export const QUEUE_STATE = 'queueState';
type QueueEntry = { taskRunId: string; task: Task; workflowId: string };
export type QueueSnapshot = { holders: QueueEntry[]; waiting: QueueEntry[] };

/** From `jobQueue` to the starter. */
export const SLOT_GRANTED = 'slotGranted';
export type SlotGrant = { taskRunId: string; turn: number };

/** Update of a night or manual run: one decision of one named person about a task that waits for it. */
export const DECIDE_REVIEW = 'decideReview';
export type ReviewInput = { taskRunId: string; decision: ReviewDecision; by: string; why: string };

/** Names of our typed search attributes (all of type Keyword). */
export const SEARCH_ATTRIBUTES = [
  'SessionDate',
  'Task',
  'Trigger',
  'ReviewState',
  'Universe',
  'RunState',
] as const;

export const REVIEW_STATES = ['none', 'pending', 'decided', 'expired', 'cancelled'] as const;
export type ReviewState = (typeof REVIEW_STATES)[number];
