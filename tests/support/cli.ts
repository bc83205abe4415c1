import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { format } from 'node:util';
import { vi } from 'vitest';
import { projectRoot } from '../../scripts/lib/paths.mjs';

/**
 * Runs a command line of the built `nightshift` in this process, a second of CPU cheaper than one of its own: for
 * commands that neither stay nor are killed. One at a time.
 */
export async function runHere(...args: string[]): Promise<{ code: number; output: string }> {
  const cli: { main(argv: string[]): Promise<void> } = await import(
    /* @vite-ignore */ pathToFileURL(join(projectRoot, 'dist', 'cli', 'main.js')).href
  );
  const lines: string[] = [];
  const spies = (['log', 'error'] as const).map((name) =>
    vi.spyOn(console, name).mockImplementation((...values: unknown[]) => void lines.push(format(...values))),
  );
  const { exitCode } = process;
  const code = (): number => Number(process.exitCode ?? 0);
  process.exitCode = undefined;
  try {
    await cli.main(['node', 'nightshift', ...args]);
    return { code: code(), output: lines.join('\n') };
  } finally {
    process.exitCode = exitCode;
    for (const spy of spies) spy.mockRestore();
  }
}
