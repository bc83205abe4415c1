/**
 * The order of a night's tasks, pure: what may start, what has to be skipped and why, when all is done,
 * and the word for the whole. No clock, no names of ours.
 */

export type DagNode<T extends string> = { id: T; dependsOn: readonly T[] };

/** How a task ended. `disabled` tasks never start and count as not succeeded for those that need them. */
export type DagOutcome = 'succeeded' | 'failed' | 'skipped' | 'cancelled' | 'disabled';

/** `open`: not begun; `started`: begun, not ended. */
export type DagState = 'open' | 'started' | DagOutcome;

export type DagStates<T extends string> = { readonly [K in T]?: DagState };

export type DagStep<T extends string> = {
  /** Open tasks whose needs have all succeeded. */
  ready: T[];
  /** Open tasks that can never start, with the need that prevents it. */
  skip: { id: T; reason: string }[];
  /** Nothing is open, nothing runs. */
  done: boolean;
};

/** What to do next. Skips are found to the end of the chain in one call. */
export function nextStep<T extends string>(nodes: readonly DagNode<T>[], states: DagStates<T>): DagStep<T> {
  const now = new Map<T, DagState>(nodes.map((node) => [node.id, states[node.id] ?? 'open']));
  const skip: { id: T; reason: string }[] = [];
  let found = true;
  while (found) {
    found = false;
    for (const node of nodes) {
      if (now.get(node.id) !== 'open') continue;
      const broken = node.dependsOn.find((need) => isLost(now.get(need)));
      if (broken === undefined) continue;
      const state = now.get(broken);
      skip.push({
        id: node.id,
        reason: `${broken} ${state === undefined ? 'is not a part of it' : WORDS[state]}`,
      });
      now.set(node.id, 'skipped');
      found = true;
    }
  }
  const ready = nodes
    .filter((node) => now.get(node.id) === 'open')
    .filter((node) => node.dependsOn.every((need) => now.get(need) === 'succeeded'))
    .map((node) => node.id);
  const running = nodes.some((node) => now.get(node.id) === 'started');
  return { ready, skip, done: ready.length === 0 && !running };
}

const WORDS: Record<DagState, string> = {
  open: 'has not run',
  started: 'is running',
  succeeded: 'succeeded',
  failed: 'failed',
  skipped: 'was skipped',
  cancelled: 'was cancelled',
  disabled: 'is disabled',
};

function isLost(state: DagState | undefined): boolean {
  return state === undefined || (state !== 'open' && state !== 'started' && state !== 'succeeded');
}

/** All tasks that need `id`, directly or through others, in the order of `nodes`. */
export function dependentsOf<T extends string>(nodes: readonly DagNode<T>[], id: T): T[] {
  const found = new Set<T>([id]);
  let grew = true;
  while (grew) {
    const next = nodes.filter(
      (node) => !found.has(node.id) && node.dependsOn.some((need) => found.has(need)),
    );
    for (const node of next) found.add(node.id);
    grew = next.length > 0;
  }
  return nodes.map((node) => node.id).filter((other) => other !== id && found.has(other));
}

/** The word for a night whose tasks have all ended; what is disabled does not count. */
export function overallState(
  outcomes: readonly DagOutcome[],
): 'succeeded' | 'partial' | 'failed' | 'disabled' {
  const counted = outcomes.filter((outcome) => outcome !== 'disabled');
  if (counted.length === 0) return 'disabled';
  const good = counted.filter((outcome) => outcome === 'succeeded').length;
  if (good === counted.length) return 'succeeded';
  return good > 0 ? 'partial' : 'failed';
}

/**
 * Last instant (ms) at which a failed task may still be started again so that it and its dependents, each
 * with all attempts at full length, end before `nextStartMs`. `costMs` = timeout x attempts of a task.
 */
export function latestRestart<T extends string>(options: {
  nodes: readonly DagNode<T>[];
  states: DagStates<T>;
  id: T;
  costMs: (id: T) => number;
  nextStartMs: number;
}): number {
  const { nodes, states, id, costMs, nextStartMs } = options;
  const pending = dependentsOf(nodes, id).filter((other) => (states[other] ?? 'open') === 'open');
  return [id, ...pending].reduce((latest, task) => latest - costMs(task), nextStartMs);
}
