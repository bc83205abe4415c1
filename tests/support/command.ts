import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { projectRoot } from '../../scripts/lib/paths.mjs';

export type CommandRun = {
  /** Standard output and error output so far, in the order in which they came. */
  output: () => string;
  /** Resolves when it printed the text; rejects with its output when it ended before. */
  printed: (text: string) => Promise<void>;
  /** Sends a signal to the command itself, as Ctrl-C does with SIGINT. */
  signal: (name: NodeJS.Signals) => void;
  /** Its exit code; null when a signal ended it. */
  exited: Promise<number | null>;
};

/** Runs `bin/nightshift.mjs` with everything embedded, as a person does in a pipe. */
export function runCommand(args: readonly string[]): CommandRun {
  const child = spawn(process.execPath, [join(projectRoot, 'bin', 'nightshift.mjs'), ...args], {
    cwd: projectRoot,
    env: { ...process.env, DATABASE_URL: '', TEMPORAL_ADDRESS: '', ARTIFACT_URL: '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  let isOver = false;
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const exited = new Promise<number | null>((resolve) => {
    child.once('close', (code) => {
      isOver = true;
      resolve(code);
    });
  });
  return {
    output: () => text,
    exited,
    signal: (name) => void (isOver || child.kill(name)),
    printed: async (wanted) => {
      while (!text.includes(wanted)) {
        if (isOver) throw new Error(`it ended without "${wanted}":\n${text}`);
        await sleep(20);
      }
    },
  };
}

/** A command that ends by itself: its exit code and everything it printed. */
export async function command(...args: string[]): Promise<{ code: number | null; output: string }> {
  const run = runCommand(args);
  const code = await run.exited;
  return { code, output: run.output() };
}
