import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import {
  condition,
  continueAsNew,
  defineQuery,
  defineSignal,
  getExternalWorkflowHandle,
  log,
  ParentClosePolicy,
  setCurrentDetails,
  setHandler,
  startChild,
  workflowInfo,
} from '@temporalio/workflow';

import type { QueueActivities, SlotHolder, SlotRelease, SlotRequest } from '../contracts/slots.ts';
import { manualRunWorkflowId } from '../contracts/wire/names.ts';
import {
  MANUAL_RUN,
  type ManualRunSignal,
  QUEUE_STATE,
  type QueueSnapshot,
  RELEASE_SLOT,
  REQUEST_SLOT,
} from '../contracts/wire/messages.ts';
import { serialLocalActivities } from './lib/local-activities.ts';
import { slotGrantedSignal } from './lib/slots.ts';
import { manualRunAttributes } from './lib/search-attributes.ts';
import type { manualRun } from './manual-run.ts';

export const requestSlotSignal = defineSignal<[SlotRequest]>(REQUEST_SLOT);
export const releaseSlotSignal = defineSignal<[SlotRelease]>(RELEASE_SLOT);
export const manualRunSignal = defineSignal<[ManualRunSignal]>(MANUAL_RUN);
export const queueStateQuery = defineQuery<QueueSnapshot>(QUEUE_STATE);

/** Between two looks at whether the holders still live; sooner while somebody waits for what they hold. */
const CARE_MS = 60_000;
const CARE = 'looks whether those who hold slots still run';
const WAITED_FOR_CARE_MS = 15_000;
/** Soon after somebody new has to wait: what he waits for may be held by a run that is gone. */
const NEWCOMER_CARE_MS = 2_000;
/** Ids kept to ignore what was seen before; older ones are refused by the server (same workflow id). */
const REMEMBERED = 500;
/** Well under the server's limit, so that a busy day does not load a long history on each restart. */
const MAX_HISTORY_EVENTS = 1_000;

/** What a run of the queue hands to its next run. */
export type QueueState = {
  holders: SlotHolder[];
  waiting: SlotRequest[];
  manual: ManualRunSignal[];
  seenManual: string[];
  released: string[];
};

/**
 * Grants slots to task runs of nights and manual runs alike, first come first served among those that fit
 * `max_concurrent_jobs` and `max_instances`, and starts manual runs. Handlers only note; all acts are in the
 * loop, so none is in flight when it continues as new.
 */
export async function jobQueue(carried?: QueueState): Promise<void> {
  const queue = new Queue(carried ?? { holders: [], waiting: [], manual: [], seenManual: [], released: [] });
  setHandler(requestSlotSignal, (request) => queue.request(request));
  setHandler(releaseSlotSignal, (release) => queue.release(release));
  setHandler(manualRunSignal, (run) => queue.manual(run));
  setHandler(queueStateQuery, () => queue.snapshot());
  if (carried === undefined) await queue.adoptHeldSlots();
  await queue.run();
  await continueAsNew<typeof jobQueue>(queue.state);
}

class Queue {
  readonly state: QueueState;
  readonly #care = serialLocalActivities<QueueActivities>('queueCare');
  #noted = true;
  #inFlight = 0;
  #caredAtMs = 0;
  /** Since when somebody waits for whom nobody has looked at the holders yet. */
  #newcomerSinceMs: number | null = null;
  #caredFor = new Set<string>();

  constructor(state: QueueState) {
    this.state = state;
  }

  request({ released = [], ...request }: SlotRequest): void {
    for (const given of released) this.release(given);
    const key = keyOf(request);
    if (this.state.released.includes(key)) return;
    this.#noted = true;
    const held = this.state.holders.find((holder) => keyOf(holder) === key);
    // Asked again although granted: the answer was lost, or the starter was reset to another run.
    if (held !== undefined) {
      held.runId = request.runId;
      this.#grant(held);
      return;
    }
    // A run asks for its next turn when the one before is over, whether or not that was said yet.
    this.#drop((entry) => entry.taskRunId === request.taskRunId && entry.turn < request.turn);
    const index = this.state.waiting.findIndex((other) => keyOf(other) === key);
    if (index >= 0) this.state.waiting[index] = request;
    else this.state.waiting.push(request);
  }

  release({ taskRunId, turn }: SlotRelease): void {
    this.#drop((entry) => entry.taskRunId === taskRunId && entry.turn <= turn);
    this.state.released = [...this.state.released, `${taskRunId}#${turn}`].slice(-REMEMBERED);
    this.#noted = true;
  }

  #drop(isOver: (entry: SlotRelease) => boolean): void {
    this.state.holders = this.state.holders.filter((holder) => !isOver(holder));
    this.state.waiting = this.state.waiting.filter((request) => !isOver(request));
  }

  manual(run: ManualRunSignal): void {
    if (this.state.seenManual.includes(run.taskRunId)) return;
    this.state.seenManual = [...this.state.seenManual, run.taskRunId].slice(-REMEMBERED);
    this.state.manual.push(run);
    this.#noted = true;
  }

  snapshot(): QueueSnapshot {
    const entry = ({ taskRunId, task, workflowId }: SlotHolder) => ({ taskRunId, task, workflowId });
    return { holders: this.state.holders.map(entry), waiting: this.state.waiting.map(entry) };
  }

  /** A queue that was terminated took its grants and questions along: rows of open tasks know them. */
  async adoptHeldSlots(): Promise<void> {
    try {
      const { holders, waiting } = await this.#care.findHeldSlots();
      if (waiting === undefined) this.#adoptHolders(holders);
      else this.#adopt({ holders, waiting });
      if (holders.length + (waiting?.length ?? 0) > 0) await this.#freeClosed();
    } catch (error) {
      log.warn('held slots not found, starting without', { error: String(error) });
    }
  }

  /** As queues did whose histories tell of holders only. */
  #adoptHolders(holders: readonly SlotHolder[]): void {
    const known = new Set(this.state.holders.map(keyOf));
    this.state.holders.push(...holders.filter((holder) => !known.has(keyOf(holder))));
  }

  /** What was asked for or given back since this queue began is newer than the rows. */
  #adopt(rows: { holders: readonly SlotHolder[]; waiting: readonly SlotRequest[] }): void {
    const known = new Set([...this.state.released, ...this.state.holders.map(keyOf)]);
    const asked = [...this.state.waiting, ...this.state.holders];
    const isOver = (holder: SlotHolder): boolean =>
      asked.some((other) => other.taskRunId === holder.taskRunId && other.turn > holder.turn);
    this.state.holders.push(...rows.holders.filter((holder) => !known.has(keyOf(holder)) && !isOver(holder)));
    for (const { taskRunId, turn } of [...rows.holders, ...this.state.waiting])
      known.add(keyOf({ taskRunId, turn }));
    this.state.waiting.push(...rows.waiting.filter((request) => !known.has(keyOf(request))));
  }

  async run(): Promise<void> {
    while (!(this.#isLong() && this.#inFlight === 0)) {
      this.#noted = false;
      this.#startManualRuns();
      this.#grantAll();
      setCurrentDetails(this.#details());
      const busy = this.state.holders.length + this.state.waiting.length > 0;
      const isNoted = (): boolean => this.#noted || (this.#isLong() && this.#inFlight === 0);
      if (!busy) await condition(isNoted);
      else if (!(await condition(isNoted, this.#msToCare(), { summary: CARE }))) await this.#freeClosed();
    }
  }

  #msToCare(): number {
    if (this.#caredAtMs === 0) this.#caredAtMs = Date.now();
    const everyMs = this.state.waiting.length > 0 ? WAITED_FOR_CARE_MS : CARE_MS;
    const soonMs =
      this.#newcomerSinceMs === null ? Number.POSITIVE_INFINITY : this.#newcomerSinceMs + NEWCOMER_CARE_MS;
    return Math.max(1, Math.min(this.#caredAtMs + everyMs, soonMs) - Date.now());
  }

  #isLong(): boolean {
    const { continueAsNewSuggested, historyLength } = workflowInfo();
    return continueAsNewSuggested || historyLength > MAX_HISTORY_EVENTS;
  }

  #grantAll(): void {
    const still: SlotRequest[] = [];
    for (const request of this.state.waiting) {
      const { limits, ...holder } = request;
      const same = this.state.holders.filter((other) => other.task === holder.task).length;
      const isFull = this.state.holders.length >= limits.maxConcurrentJobs || same >= limits.maxInstances;
      // By hand and by the night at once: the server lets one of them run.
      const hasTwin = this.state.holders.some(({ childId }) => childId && childId === holder.childId);
      if (isFull || hasTwin) {
        still.push(request);
        continue;
      }
      this.state.holders.push(holder);
      this.#grant(holder);
    }
    this.state.waiting = still;
    const isNew = still.some((request) => !this.#caredFor.has(keyOf(request)));
    this.#newcomerSinceMs = isNew ? (this.#newcomerSinceMs ?? Date.now()) : null;
  }

  #grant(holder: SlotHolder): void {
    const { workflowId, runId, taskRunId, turn } = holder;
    this.#inFlight += 1;
    getExternalWorkflowHandle(workflowId, runId)
      .signal(slotGrantedSignal, { taskRunId, turn })
      .catch(() => {
        // Its run is closed: nobody will ever give this slot back.
        this.state.holders = this.state.holders.filter((other) => keyOf(other) !== keyOf(holder));
      })
      .finally(() => this.#ended());
  }

  #startManualRuns(): void {
    for (const run of this.state.manual.splice(0)) {
      this.#inFlight += 1;
      startChild<typeof manualRun>('manualRun', {
        workflowId: manualRunWorkflowId(run.taskRunId),
        args: [{ taskRunId: run.taskRunId }],
        workflowIdReusePolicy: 'REJECT_DUPLICATE',
        // The queue continues as new and may be terminated: what it started goes on.
        parentClosePolicy: ParentClosePolicy.ABANDON,
        typedSearchAttributes: manualRunAttributes(run),
        staticSummary: `${run.task} of ${run.sessionDate} (${run.universe}), by hand`,
      })
        .then(
          () => undefined,
          (error: unknown) => {
            if (error instanceof WorkflowExecutionAlreadyStartedError) return;
            log.warn('manual run not started', { taskRunId: run.taskRunId, error: String(error) });
            this.state.seenManual = this.state.seenManual.filter((id) => id !== run.taskRunId);
          },
        )
        .finally(() => this.#ended());
    }
  }

  async #freeClosed(): Promise<void> {
    this.#caredAtMs = Date.now();
    this.#newcomerSinceMs = null;
    this.#caredFor = new Set(this.state.waiting.map(keyOf));
    const asked = [...this.state.holders, ...this.state.waiting];
    const runs = asked.map(({ workflowId, runId }) => ({ workflowId, runId }));
    try {
      const { closedRunIds } = await this.#care.findClosedRuns({ runs });
      const open = (entry: SlotHolder): boolean => !closedRunIds.includes(entry.runId);
      this.state.holders = this.state.holders.filter(open);
      this.state.waiting = this.state.waiting.filter(open);
      this.#noted = true;
    } catch (error) {
      log.warn('holders not looked at', { error: String(error) });
    }
  }

  #ended(): void {
    this.#inFlight -= 1;
    this.#noted = true;
  }

  #details(): string {
    const line = (word: string) => (entry: SlotHolder) => `| ${word} | ${entry.task} | ${entry.workflowId} |`;
    return [
      '| slot | task | asked by |',
      '|---|---|---|',
      ...this.state.holders.map(line('held')),
      ...this.state.waiting.map(line('waiting')),
    ].join('\n');
  }
}

function keyOf(entry: SlotRelease): string {
  return `${entry.taskRunId}#${entry.turn}`;
}
