import { setCurrentDetails, upsertMemo } from '@temporalio/workflow';

import type { NightResult, TaskPlan } from '../../contracts/activities.ts';
import type { NightState, Task, TaskState } from '../../contracts/wire/names.ts';
import { tableRow } from './markdown.ts';
import { tagState } from './search-attributes.ts';

/** What a state alone does not say; what is left out stays as it was. */
export type StateDetails = { attempts?: number; reviewDeadline?: string; note?: string };

type Line = {
  plan: TaskPlan;
  state: TaskState;
  reason: string | null;
  attempts: number;
  reviewDeadline: string;
  /** What a person did about it on the way; a reason goes with its state, this stays. */
  note: string;
  startedAt: string;
  endedAt: string;
};

const ENDED = new Set<TaskState>(['succeeded', 'failed', 'skipped', 'cancelled', 'disabled']);

/** What a person reads in the Temporal Web UI: current details while it runs, memo and attribute at the end. */
export class Board {
  readonly #heading: string;
  readonly #lines = new Map<Task, Line>();
  #state: NightState = 'running';
  #reason: string | null = null;

  constructor(options: { heading: string; plans: readonly TaskPlan[] }) {
    this.#heading = options.heading;
    for (const plan of options.plans) {
      const state = plan.enabled ? 'pending' : 'disabled';
      const empty = { attempts: 0, reviewDeadline: '', note: '', startedAt: '', endedAt: '' };
      this.#lines.set(plan.task, { plan, state, reason: plan.disabledReason, ...empty });
    }
    this.#show();
  }

  set(task: Task, state: TaskState, reason: string | null, details: StateDetails = {}): void {
    const line = this.#lines.get(task);
    if (line === undefined) return;
    const now = new Date(Date.now()).toISOString().slice(11, 19);
    const startedAt = line.startedAt === '' && state === 'running' ? now : line.startedAt;
    const endedAt = ENDED.has(state) && startedAt !== '' ? now : '';
    this.#lines.set(task, { ...line, ...details, state, reason, startedAt, endedAt });
    this.#show();
  }

  /** Says the end where it stays: details come from a query and vanish when no worker runs. */
  finish(state: NightState, reason: string | null): void {
    this.#state = state;
    this.#reason = reason;
    this.#show();
    const tasks = Object.fromEntries(this.#list().map((line) => [line.plan.task, sentence(line)]));
    upsertMemo({ run: this.#heading, state, ...(reason === null ? {} : { reason }), tasks });
    tagState(state);
  }

  tasks(): NightResult['tasks'] {
    return this.#list().map(({ plan, state, reason }) => ({
      task: plan.task,
      taskRunId: plan.taskRunId,
      state,
      reason,
    }));
  }

  #list(): Line[] {
    return [...this.#lines.values()];
  }

  #show(): void {
    setCurrentDetails(this.#text());
  }

  /** A run that does nothing but wait for a person says so, as its row does. */
  #word(): NightState {
    const states = this.#list().map((line) => line.state);
    const busy = states.includes('running') || states.includes('waiting');
    const waits = this.#state === 'running' && !busy && states.includes('awaiting_review');
    return waits ? 'awaiting_review' : this.#state;
  }

  #text(): string {
    const lines = this.#list();
    const why = this.#reason === null ? '' : `: ${plain(this.#reason)}`;
    return [
      `**${this.#heading}: ${this.#word()}**${why}`,
      '',
      ...(lines.length === 0 ? [] : table(lines)),
      '',
      ...lines.flatMap(remarks),
    ].join('\n');
  }
}

function table(lines: readonly Line[]): string[] {
  return [
    tableRow(['task', 'state', 'attempts', 'started (UTC)', 'ended']),
    '|:---|:---|:---|:---|:---|',
    ...lines.map(({ plan, state, attempts, startedAt, endedAt }) =>
      tableRow([plan.task, state, attempts === 0 ? '' : String(attempts), startedAt, endedAt]),
    ),
  ];
}

/** Why a task is in its state, below the table: there a long reason has room; and what a person can do. */
function remarks({ plan, state, reason, reviewDeadline, note }: Line): string[] {
  if (reason === null) return note === '' ? [] : [`- **${plan.task}** ${plain(note)}`];
  const remark = `- **${plan.task}** ${state}: ${plain(reason)}`;
  if (state !== 'awaiting_review') return [remark];
  return [
    remark,
    `- Decide until ${reviewDeadline.slice(0, 16).replace('T', ' ')} UTC: \`nightshift review ${plan.taskRunId} retry|skip|abort --by NAME --why TEXT\``,
  ];
}

/** A task's end as one line of the memo. */
function sentence({ state, reason, attempts, note, startedAt, endedAt }: Line): string {
  const tries = attempts > 1 ? ` after ${attempts} attempts` : '';
  const when = startedAt === '' || endedAt === '' ? '' : `, ${startedAt} to ${endedAt} UTC`;
  const why = reason ?? note;
  return `${state}${tries}${when}${why === '' ? '' : `: ${plain(why)}`}`;
}

function plain(text: string): string {
  return text.replaceAll('\n', ' ').slice(0, 300);
}
