import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { writeFileWhole } from './files.ts';
import { endProcess, isRunning } from './process-identity.ts';
import type { Supervised } from './supervisor.ts';

const schema = z.array(
  z.object({
    name: z.string(),
    restarts: z.number().int(),
    identity: z.object({ pid: z.number().int(), startedAt: z.string().nullable(), host: z.string() }),
  }),
);
export type ChildEntry = z.infer<typeof schema>[number];

/** The children as they run now. */
export function childEntries(children: Supervised[]): ChildEntry[] {
  return children.flatMap(({ name, restarts, identity }) =>
    identity === null ? [] : [{ name, restarts, identity }],
  );
}

/** The children a runtime wrote down; empty when it has none. */
export async function readChildren(path: string): Promise<ChildEntry[]> {
  const text = await readFile(path, 'utf8').catch(() => '[]');
  const parsed = schema.safeParse(JSON.parse(text));
  return parsed.success ? parsed.data : [];
}

/** Writes the list one write at a time, always ending with the newest. */
export function childrenWriter(path: string, read: () => ChildEntry[]): () => Promise<void> {
  let last: Promise<void> = Promise.resolve();
  return () => {
    last = last
      .then(() => writeFileWhole(path, `${JSON.stringify(read(), null, 2)}\n`))
      .catch(() => undefined);
    return last;
  };
}

/** Ends what an earlier runtime of this folder left behind. Returns the names of what still ran. */
export async function endLeftovers(path: string): Promise<string[]> {
  const left: string[] = [];
  for (const { name, identity } of await readChildren(path)) {
    const signal = name === 'postgres' ? 'SIGINT' : 'SIGTERM';
    if (!(await isRunning(identity))) continue;
    left.push(`${name} (pid ${identity.pid})`);
    await endProcess({ identity, signal, graceMs: 15_000 });
  }
  return left;
}
