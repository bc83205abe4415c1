import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { vi } from 'vitest';
import { main } from '../../src/cli/main.ts';
import { ROLES } from '../../src/db/roles.ts';
import { type Runtime, startRuntime } from '../../src/runtime/embedded.ts';
import { type TestDatabase, testTemporal } from './env.ts';

export type CommandLine = {
  runtime: Runtime;
  /** Runs one command in this process: its exit code and what it said, one line each. */
  run(...args: string[]): Promise<{ code: unknown; words: string }>;
  close(): Promise<void>;
};

/** The command line of an instance whose database, Temporal server and artifact folder are those of a test. */
export async function openCommandLine(options: {
  urls: TestDatabase['urls'];
  namespace?: string;
}): Promise<CommandLine> {
  const { urls, namespace = testTemporal().namespace } = options;
  const root = await mkdtemp(join(tmpdir(), 'nightshift-command-'));
  vi.stubEnv('DATABASE_URL', urls.owner);
  for (const role of ROLES) vi.stubEnv(`NIGHTSHIFT_DB_URL_${role.toUpperCase()}`, urls[role]);
  vi.stubEnv('TEMPORAL_ADDRESS', testTemporal().address);
  vi.stubEnv('TEMPORAL_NAMESPACE', namespace);
  vi.stubEnv('ARTIFACT_URL', pathToFileURL(join(root, 'artifacts')).href);
  const runtime = await startRuntime({ dataDir: root, command: 'test', workers: { typescript: 0, ml: 0 } });
  return {
    runtime,
    run: (...args) => listenTo(() => main(['node', 'nightshift', ...args, '--data-dir', root])),
    close: async () => {
      await runtime.stop();
      vi.unstubAllEnvs();
      await rm(root, { recursive: true, force: true });
    },
  };
}

async function listenTo(command: () => Promise<void>): Promise<{ code: unknown; words: string }> {
  const said: string[] = [];
  const keep = (text: unknown): void => void said.push(String(text));
  const spies = [
    vi.spyOn(console, 'log').mockImplementation(keep),
    vi.spyOn(console, 'error').mockImplementation(keep),
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => said.push(String(text)) > 0),
  ];
  try {
    await command();
    return { code: process.exitCode ?? 0, words: said.join('\n') };
  } finally {
    for (const spy of spies) spy.mockRestore();
    process.exitCode = undefined;
  }
}
