import { setCurrentDetails, upsertMemo } from '@temporalio/workflow';

import type { NightResult, TaskPlan } from '../../contracts/activities.ts';
import type { NightState, Task, TaskState } from '../../contracts/wire/names.ts';

type Line = { plan: TaskPlan; state: TaskState; reason: string | null; startedAt: string; endedAt: string };

const ENDED = new Set<TaskState>(['succeeded', 'failed', 'skipped', 'cancelled', 'disabled']);

/** The table a person reads in the Temporal Web UI: current details while it runs, memo at the end. */
export class Board {
  readonly #heading: string;
  readonly #lines = new Map<Task, Line>();
  #state: NightState = 'running';
  #reason: string | null = null;

  constructor(options: { heading: string; plans: readonly TaskPlan[] }) {
    this.#heading = options.heading;
    for (const plan of options.plans) {
      const state = plan.enabled ? 'pending' : 'disabled';
      this.#lines.set(plan.task, { plan, state, reason: plan.disabledReason, startedAt: '', endedAt: '' });
    }
    this.#show();
  }

  set(task: Task, state: TaskState, reason: string | null): void {
    const line = this.#lines.get(task);
    if (line === undefined) return;
    const now = new Date(Date.now()).toISOString().slice(11, 19);
    const startedAt = line.startedAt === '' && state === 'running' ? now : line.startedAt;
    const endedAt = ENDED.has(state) && startedAt !== '' ? now : '';
    this.#lines.set(task, { ...line, state, reason, startedAt, endedAt });
    this.#show();
  }

  /** Puts the final table into the memo: details come from a query and vanish when no worker runs. */
  finish(state: NightState, reason: string | null): void {
    this.#state = state;
    this.#reason = reason;
    this.#show();
    upsertMemo({ state, summary: this.#text() });
  }

  tasks(): NightResult['tasks'] {
    return [...this.#lines.values()].map(({ plan, state, reason }) => ({
      task: plan.task,
      taskRunId: plan.taskRunId,
      state,
      reason,
    }));
  }

  #show(): void {
    setCurrentDetails(this.#text());
  }

  #text(): string {
    const rows = [...this.#lines.values()].map(({ plan, state, reason, startedAt, endedAt }) => {
      const own = plan.notBeforeLocal ?? '';
      return `| ${plan.task} | ${state} | ${own} | ${startedAt} | ${endedAt} | ${cell(reason ?? '')} |`;
    });
    return [
      `**${this.#heading}: ${this.#state}**${this.#reason === null ? '' : ` (${cell(this.#reason)})`}`,
      '',
      '| task | state | own time | started (UTC) | ended | reason |',
      '|---|---|---|---|---|---|',
      ...rows,
    ].join('\n');
  }
}

function cell(text: string): string {
  return text.replaceAll('|', '/').replaceAll('\n', ' ').slice(0, 300);
}
