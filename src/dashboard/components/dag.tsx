import type { FC } from 'hono/jsx';
import type { TaskRunRow } from '../../db/queries/task-runs.ts';
import { duration, sentence, words } from '../format.ts';
import { layOut, type Placed } from './dag-layout.ts';
import { Mark } from './marks.tsx';
import { lookOf } from './states.ts';

const NODE = { width: 210, height: 62 };
const GAP = { x: 80, y: 26 };
const PAD = 6;

const leftOf = ({ column }: Placed): number => PAD + column * (NODE.width + GAP.x);
const topOf = ({ row }: Placed): number => PAD + row * (NODE.height + GAP.y);

/** The tasks of a night and what needs what; each leads to its run. */
export const Dag: FC<{ runs: readonly TaskRunRow[] }> = ({ runs }) => {
  const { nodes, edges, columns, rows } = layOut(
    runs.map(({ task, dependsOn }) => ({ name: task, needs: dependsOn })),
  );
  const width = 2 * PAD + columns * NODE.width + (columns - 1) * GAP.x;
  const height = 2 * PAD + rows * NODE.height + (rows - 1) * GAP.y;
  return (
    <figure class="dag-figure">
      <svg class="dag" viewBox={`0 0 ${width} ${height}`} width={width} height={height}>
        <title>The tasks of the night and what needs what</title>
        <defs>
          <marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
            <path d="M0 0L8 4L0 8z" class="edge" />
          </marker>
        </defs>
        {edges.map(([from, to]) => (
          <path class="edge" d={wayOf(from, to)} marker-end="url(#tip)" />
        ))}
        {nodes.map((node) => {
          const run = runs.find(({ task }) => task === node.name);
          return run === undefined ? null : <Node node={node} run={run} />;
        })}
      </svg>
    </figure>
  );
};

function wayOf(from: Placed, to: Placed): string {
  const [x1, y1] = [leftOf(from) + NODE.width, topOf(from) + NODE.height / 2];
  const [x2, y2] = [leftOf(to) - 3, topOf(to) + NODE.height / 2];
  const middle = (x1 + x2) / 2;
  return `M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}`;
}

const Node: FC<{ node: Placed; run: TaskRunRow }> = ({ node, run }) => {
  const { mark, label, tone } = lookOf(run.state);
  const { startedAt, completedAt, attempts, maxAttempts } = run;
  const took =
    startedAt !== null && completedAt !== null
      ? ` in ${duration(Date.parse(completedAt) - Date.parse(startedAt))}`
      : '';
  const again = attempts > 1 ? `, attempt ${attempts} of ${Math.max(attempts, maxAttempts)}` : '';
  const [x, y] = [leftOf(node), topOf(node)];
  return (
    <a href={`/runs/${encodeURIComponent(run.taskRunId)}`} class={`node-${tone}`}>
      <rect x={x} y={y} width={NODE.width} height={NODE.height} rx="9" />
      <text x={x + 14} y={y + 26} font-weight="650">
        {sentence(words(run.task))}
      </text>
      <g class="word">
        <Mark name={mark} size={15} x={x + 13} y={y + 35} />
        <text x={x + 33} y={y + 47} class="word">
          {`${label}${took}${again}`}
        </text>
      </g>
    </a>
  );
};
