import type { Task } from './wire/names.ts';

/** What the queue grants and to whom: inputs and answers of its activities. Types only. */

/** Limits of the queue that a run asks under. */
export type SlotLimits = { maxConcurrentJobs: number; maxInstances: number };

/** A run that the queue knows: which task, and the starter to whom the grant goes. */
export type SlotHolder = {
  taskRunId: string;
  turn: number;
  task: Task;
  workflowId: string;
  runId: string;
  /** Workflow id of the task itself; two runs of one session and universe share it. Absent in older histories. */
  childId?: string;
};

/** A turn of a task run that gives its slot back, or wants none any more. */
export type SlotRelease = { taskRunId: string; turn: number };

/** A starter's wish, with what it gives back in the same moment: one signal instead of two. */
export type SlotRequest = SlotHolder & { limits: SlotLimits; released?: SlotRelease[] };

/** A starter's side of the queue; both are signals that also wake a queue that is gone. */
export type SlotActivities = {
  requestSlot(input: SlotRequest): Promise<void>;
  releaseSlot(input: SlotRelease): Promise<void>;
};

/** The queue's own side. */
export type QueueActivities = {
  /** Which of the granted runs are closed by now (asked each minute and at the queue's start). */
  findClosedRuns(input: {
    runs: { workflowId: string; runId: string }[];
  }): Promise<{ closedRunIds: string[] }>;
  /**
   * Runs that hold a slot or wait for one although a new queue knows nothing of it: its predecessor was terminated.
   * Answers recorded before those who wait were told have none.
   */
  findHeldSlots(): Promise<{ holders: SlotHolder[]; waiting?: SlotRequest[] }>;
};
