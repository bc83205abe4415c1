import { nextStep } from './dag.ts';

/**
 * Whether a night has anything to do: a task that is enabled and needs none that is disabled. A schedule without it
 * would start nights that skip everything.
 */
export function nightHasWork<T extends string>(
  names: readonly T[],
  tasks: Readonly<Record<T, { enabled: boolean; dependsOn: readonly T[] }>>,
): boolean {
  const nodes = names.map((id) => ({ id, dependsOn: tasks[id].dependsOn }));
  const states: { [K in T]?: 'disabled' } = {};
  for (const id of names) if (!tasks[id].enabled) states[id] = 'disabled';
  return nextStep(nodes, states).ready.length > 0;
}
