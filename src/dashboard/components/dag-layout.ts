/** A task of a night with the tasks it needs. */
export type DagNode = { name: string; needs: readonly string[] };
export type Placed = { name: string; column: number; row: number };
export type Layout = { nodes: Placed[]; edges: [Placed, Placed][]; columns: number; rows: number };

/**
 * Columns by the longest way from a task without needs, rows in the order given; needs that are no node are left out.
 * A circle, which the configuration refuses, ends up in the last columns.
 */
export function layOut(nodes: readonly DagNode[]): Layout {
  const known = new Map(nodes.map((node) => [node.name, node]));
  const depths = new Map<string, number>();
  const depthOf = (name: string, seen: readonly string[]): number => {
    const found = depths.get(name);
    if (found !== undefined) return found;
    const needs = (known.get(name)?.needs ?? []).filter((need) => known.has(need) && !seen.includes(need));
    const depth = Math.max(-1, ...needs.map((need) => depthOf(need, [...seen, name]))) + 1;
    if (seen.length === 0) depths.set(name, depth);
    return depth;
  };
  const taken = new Map<number, number>();
  const placed = nodes.map(({ name }): Placed => {
    const column = depthOf(name, []);
    const row = taken.get(column) ?? 0;
    taken.set(column, row + 1);
    return { name, column, row };
  });
  const at = new Map(placed.map((node) => [node.name, node]));
  const edges = nodes.flatMap(({ name, needs }) =>
    needs.flatMap((need): [Placed, Placed][] => {
      const [from, to] = [at.get(need), at.get(name)];
      return from === undefined || to === undefined ? [] : [[from, to]];
    }),
  );
  return {
    nodes: placed,
    edges,
    columns: Math.max(0, ...placed.map(({ column }) => column + 1)),
    rows: Math.max(0, ...taken.values()),
  };
}
