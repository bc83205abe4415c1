import {
  allHandlersFinished,
  ApplicationFailure,
  CancellationScope,
  condition,
  workflowInfo,
} from '@temporalio/workflow';

import type { NightInput, NightPlan, NightResult, RunActivities, TaskPlan } from '../contracts/activities.ts';
import type { NightState, Task, TaskState } from '../contracts/wire/names.ts';
import type { ReviewInput } from '../contracts/wire/messages.ts';
import { type DagState, latestRestart, nextStep, overallState } from '../domain/dag.ts';
import { serialLocalActivities } from './lib/local-activities.ts';
import { Board } from './lib/board.ts';
import { endingInFailure } from './lib/failure.ts';
import { createReviewDesk, type ReviewDesk } from './lib/review-desk.ts';
import { nominalInstant, tagRun } from './lib/search-attributes.ts';
import { createSlotDesk, type SlotDesk } from './lib/slots.ts';
import { startTask } from './lib/starter.ts';

/**
 * One night: plans it, runs its tasks as child workflows in the order of their needs, and ends with the word
 * for the whole. A lost night fails; one that lost a part of its tasks completes as `partial`.
 */
export async function nightlyPipeline(input: NightInput): Promise<NightResult> {
  return endingInFailure(() => runNight(input));
}

async function runNight(input: NightInput): Promise<NightResult> {
  const slots = createSlotDesk();
  const reviews = createReviewDesk();
  const { workflowId, runId } = workflowInfo();
  const rows = serialLocalActivities<RunActivities>('bookkeeping');
  const plan = await rows.planNight({ ...input, workflowId, runId, nominalInstant: nominalInstant() });
  const { sessionDate, universe } = plan;
  tagRun({ sessionDate, universe, trigger: input.trigger });
  const heading = `Night of ${sessionDate}, ${universe} (${input.trigger})`;
  const board = new Board({ heading, plans: plan.tasks });
  if (plan.outcome !== 'run') return endWithoutRun(plan, STATE_WITHOUT_RUN[plan.outcome], board);

  const ending = await new Night({ plan, input, slots, reviews, board }).run();
  const { state, reason } = ending;
  board.finish(state, reason);
  await CancellationScope.nonCancellable(async () => {
    const settled = slots.settled();
    await rows.finishNight({ workflowId, runId, state, reason });
    await settled;
    await condition(allHandlersFinished);
  });
  if (ending.error !== undefined) throw ending.error;
  const result = { sessionDate, universe, state, reason, tasks: board.tasks() };
  if (state !== 'failed') return result;
  throw ApplicationFailure.create({
    message: `the night of ${sessionDate} failed: ${reason ?? lostTasks(result)}`,
    type: 'NightFailed',
    nonRetryable: true,
    details: [result],
  });
}

/** The failed tasks and why, for those who see only the workflow's failure. */
function lostTasks({ tasks }: NightResult): string {
  const failed = tasks.filter((entry) => entry.state === 'failed');
  return failed.map(({ task, reason }) => `${task} failed (${reason ?? 'no reason'})`).join(', ');
}

const STATE_WITHOUT_RUN = {
  no_session: 'no_session',
  already_running: 'skipped',
  refused: 'failed',
} as const;

function endWithoutRun(plan: NightPlan, state: NightState, board: Board): NightResult {
  const { sessionDate, universe, reason } = plan;
  board.finish(state, reason);
  if (state === 'failed')
    throw ApplicationFailure.nonRetryable(reason ?? 'the night was refused', 'NightRefused');
  return { sessionDate, universe, state, reason, tasks: [] };
}

/** How a night ended; `error` is what the workflow itself ends with, if not with its result. */
type Ending = { state: NightState; reason: string | null; error?: unknown };

type NightOptions = {
  plan: NightPlan;
  input: NightInput;
  slots: SlotDesk;
  reviews: ReviewDesk;
  board: Board;
};

/** The running night: states of its tasks and the scope in which their starters live. */
class Night {
  readonly #options: NightOptions;
  readonly #rows = serialLocalActivities<RunActivities>('bookkeeping');
  readonly #states: Partial<Record<Task, DagState>> = {};
  readonly #starters = new CancellationScope();
  #changes = 0;
  #abort: ReviewInput | null = null;
  #broken: Error | null = null;

  constructor(options: NightOptions) {
    this.#options = options;
    for (const plan of options.plan.tasks) if (!plan.enabled) this.#states[plan.task] = 'disabled';
  }

  async run(): Promise<Ending> {
    try {
      await this.#drive();
    } catch (error) {
      const cancelled = CancellationScope.current().consideredCancelled;
      this.#starters.cancel();
      const reason = cancelled ? 'the night was cancelled' : `the night broke: ${String(error)}`;
      await this.#cancelRest(reason);
      return { state: cancelled ? 'cancelled' : 'failed', reason, error };
    }
    if (this.#abort !== null) {
      const reason = `aborted by ${this.#abort.by}: ${this.#abort.why}`;
      this.#starters.cancel();
      await this.#cancelRest(`the night was ${reason}`);
      return { state: 'failed', reason };
    }
    const words = this.#options.plan.tasks.map((plan) => this.#states[plan.task]);
    const state = overallState(
      words.filter((word) => word !== undefined && word !== 'open' && word !== 'started'),
    );
    return { state, reason: state === 'disabled' ? 'all tasks are disabled' : null };
  }

  /** Starts what is ready and skips what is lost until nothing is left or a person aborts. */
  async #drive(): Promise<void> {
    const { tasks } = this.#options.plan;
    const nodes = tasks.map((plan) => ({ id: plan.task, dependsOn: plan.dependsOn }));
    while (this.#abort === null) {
      if (this.#broken !== null) throw this.#broken;
      const step = nextStep(nodes, this.#states);
      const seen = this.#changes;
      for (const plan of tasks) if (step.ready.includes(plan.task)) this.#launch(plan);
      await this.#skip(step.skip);
      if (step.done) return;
      await condition(() => this.#changes !== seen);
    }
  }

  /** Waits until the starters have ended, then records what never ran or was stopped. */
  async #cancelRest(reason: string): Promise<void> {
    await CancellationScope.nonCancellable(async () => {
      await condition(() => !Object.values(this.#states).includes('started'));
      const rest = this.#options.plan.tasks.filter((plan) => {
        const state = this.#states[plan.task] ?? 'open';
        return state === 'open' || state === 'cancelled';
      });
      for (const plan of rest) this.#set(plan.task, 'cancelled', reason);
      if (rest.length === 0) return;
      await this.#rows.recordTasks({
        transitions: rest.map((plan) => ({ taskRunId: plan.taskRunId, state: 'cancelled', reason })),
      });
    });
  }

  #launch(plan: TaskPlan): void {
    const { slots, reviews, board } = this.#options;
    this.#states[plan.task] = 'started';
    const start = () =>
      startTask({
        plan,
        input: this.#taskInput(plan),
        limits: this.#options.plan.limits,
        slots,
        reviews,
        latestRestartMs: () => this.#latestRestartMs(plan),
        onState: (state, reason, details) => board.set(plan.task, state, reason, details),
      });
    this.#starters
      .run(start)
      .then((outcome) => {
        this.#abort ??= outcome.abort;
        this.#set(plan.task, outcome.state, outcome.reason);
      })
      .catch((error: unknown) => {
        // Cancellation of the night or its abort; anything else is a defect and ends the night.
        if (!this.#starters.consideredCancelled) {
          this.#broken = error instanceof Error ? error : new Error(String(error));
        }
        this.#set(plan.task, 'cancelled', null);
      });
  }

  async #skip(skips: readonly { id: Task; reason: string }[]): Promise<void> {
    if (skips.length === 0) return;
    for (const { id, reason } of skips) this.#set(id, 'skipped', reason);
    const runIds = new Map(this.#options.plan.tasks.map((plan) => [plan.task, plan.taskRunId]));
    await this.#rows.recordTasks({
      transitions: skips.flatMap(({ id, reason }) => {
        const taskRunId = runIds.get(id);
        return taskRunId === undefined ? [] : [{ taskRunId, state: 'skipped' as const, reason }];
      }),
    });
  }

  #set(task: Task, state: DagState & TaskState, reason: string | null): void {
    this.#states[task] = state;
    this.#changes += 1;
    this.#options.board.set(task, state, reason);
  }

  #latestRestartMs(plan: TaskPlan): number {
    const { tasks, nextStart } = this.#options.plan;
    if (nextStart === null) return Number.POSITIVE_INFINITY;
    const costs = new Map(tasks.map((entry) => [entry.task, entry.timeoutMs * entry.maxAttempts]));
    return latestRestart({
      nodes: tasks.map((entry) => ({ id: entry.task, dependsOn: entry.dependsOn })),
      states: this.#states,
      id: plan.task,
      costMs: (task) => costs.get(task) ?? 0,
      nextStartMs: Date.parse(nextStart),
    });
  }

  #taskInput(plan: TaskPlan) {
    const { sessionDate, universe, universeVersion, configHash } = this.#options.plan;
    return {
      taskRunId: plan.taskRunId,
      task: plan.task,
      sessionDate,
      universe,
      universeVersion,
      configHash,
      trigger: this.#options.input.trigger,
      forced: false,
      timeoutMs: plan.timeoutMs,
      turn: 0,
    };
  }
}
