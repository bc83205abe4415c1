import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { projectRoot } from '../../scripts/lib/paths.mjs';
import type { ChildEntry } from '../../src/runtime/children-file.ts';

export type InstanceProcess = {
  process: ChildProcess;
  /** Everything it printed so far. */
  output: () => string;
  /** Resolves when it printed the text; rejects with its output when it ended before. */
  printed: (text: string) => Promise<void>;
  exited: Promise<number | null>;
};

export type InstanceOptions = {
  args: string[];
  env?: Record<string, string>;
  user?: { uid: number; gid: number };
};

/** Runs the built `nightshift` command as a process of its own, so that a test can kill it. */
export function startInstance(options: InstanceOptions): InstanceProcess {
  const script = `import(${JSON.stringify(join(projectRoot, 'dist', 'cli', 'main.js'))}).then((cli) => cli.main(process.argv))`;
  return startNode({ ...options, args: ['-e', script, 'nightshift', ...options.args] });
}

/** Runs Node with these arguments in the project. */
export function startNode(options: InstanceOptions): InstanceProcess {
  const child = spawn(process.execPath, options.args, {
    cwd: projectRoot,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...options.user,
  });
  let text = '';
  child.stdout?.on('data', (chunk: Buffer) => (text += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const exited = new Promise<number | null>((resolve) => child.once('close', resolve));
  return {
    process: child,
    output: () => text,
    exited,
    printed: async (wanted) => {
      let ended = false;
      void exited.then(() => (ended = true));
      while (!text.includes(wanted)) {
        if (ended) throw new Error(`it ended without "${wanted}":\n${text}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
  };
}

/** The children an instance wrote down, by name. */
export async function childrenOf(dataDir: string): Promise<Record<string, ChildEntry>> {
  const entries: ChildEntry[] = JSON.parse(await readFile(join(dataDir, 'children.json'), 'utf8'));
  return Object.fromEntries(entries.map((entry) => [entry.name, entry]));
}
