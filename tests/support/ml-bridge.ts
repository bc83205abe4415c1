import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { projectRoot, venvPython } from '../../scripts/lib/paths.mjs';
import type { MlActivities } from '../../src/contracts/activities.ts';
import { ML_ACTIVITY_NAMES, ML_CONTRACT } from '../../src/contracts/schemas/ml.ts';

export type MlBridge = MlActivities & {
  /** The same jobs on another store, with nothing in memory of this one: the libraries are loaded once. */
  on(artifactUrl: string): MlActivities;
  stop(): Promise<void>;
};

/** The real jobs of the Python worker in one process, without Temporal; inputs and outputs checked by contract. */
export function startMlBridge(artifactUrl: string): MlBridge {
  const child = spawn(venvPython(), [join(projectRoot, 'tests', 'support', 'ml_bridge.py')], {
    env: { ...process.env, PYTHONPATH: join(projectRoot, 'ml'), PYTHONUNBUFFERED: '1' },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  let queue: Promise<unknown> = Promise.resolve();
  type Name = (typeof ML_ACTIVITY_NAMES)[number];
  const call = async (store: string, name: Name, given: unknown): Promise<unknown> => {
    const input = ML_CONTRACT[name].input.parse(given);
    child.stdin.write(`${JSON.stringify({ store, name, input })}\n`);
    const { value } = await lines.next();
    if (value === undefined) throw new Error(`the model process ended during ${name}`);
    const reply = JSON.parse(value) as { output?: unknown; error?: string };
    if (reply.error !== undefined) throw new Error(reply.error);
    return ML_CONTRACT[name].output.parse(reply.output);
  };
  const on = (store: string): MlActivities => {
    const entries = ML_ACTIVITY_NAMES.map((name) => [
      name,
      (input: unknown) => {
        const answer = queue.then(() => call(store, name, input));
        queue = answer.catch(() => undefined);
        return answer;
      },
    ]);
    return Object.fromEntries(entries) as MlActivities;
  };
  return {
    ...on(artifactUrl),
    on,
    stop: async () => {
      child.stdin.end();
      await exited;
    },
  };
}
