import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { projectRoot, venvPython } from '../../scripts/lib/paths.mjs';
import { testTemporal } from './env.ts';

const run = promisify(execFile);
const ML = join(projectRoot, 'ml');

export type PythonProcess = {
  process: ChildProcess;
  /** Its log lines so far. */
  lines: () => { level: string; msg: string }[];
  /** Resolves with the first line whose message contains the text; rejects when it ended without. */
  printed: (text: string) => Promise<{ level: string; msg: string }>;
  kill: (signal: NodeJS.Signals) => Promise<void>;
  exited: Promise<number | null>;
};

/** Python in the environment of the product, its log lines read as they come. */
export function startPython(args: string[], env: Record<string, string> = {}): PythonProcess {
  const child = spawn(venvPython(), args, {
    cwd: projectRoot,
    env: { ...process.env, PYTHONPATH: ML, PYTHONUNBUFFERED: '1', ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  let ended = false;
  const exited = new Promise<number | null>((resolve) => child.once('close', resolve));
  void exited.then(() => (ended = true));
  const lines = () =>
    text
      .slice(0, text.lastIndexOf('\n') + 1)
      .split('\n')
      .filter((line) => line !== '')
      .map((line): { level: string; msg: string } => JSON.parse(line));
  return {
    process: child,
    lines,
    exited,
    printed: async (wanted) => {
      for (;;) {
        const last = ended;
        const line = lines().find(({ msg }) => msg.includes(wanted));
        if (line !== undefined) return line;
        if (last) throw new Error(`it ended without "${wanted}":\n${text}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
    kill: async (signal) => {
      child.kill(signal);
      await exited;
    },
  };
}

/** The real model worker on the queue `ml` of a namespace of the test run's server. */
export function startMlWorker(options: {
  /** Of the server; default: the test run's. */
  address?: string;
  namespace: string;
  artifactUrl: string;
  databaseUrl?: string;
  name?: string;
}): PythonProcess {
  return startPython(['-m', 'nightshift_ml.worker'], {
    TEMPORAL_ADDRESS: options.address ?? testTemporal().address,
    TEMPORAL_NAMESPACE: options.namespace,
    ARTIFACT_URL: options.artifactUrl,
    NIGHTSHIFT_DB_URL_ML: options.databaseUrl ?? '',
    NIGHTSHIFT_WORKER_NAME: options.name ?? '',
    NIGHTSHIFT_PARENT_PID: String(process.pid),
  });
}

/** Writes the synthetic market of the Python tests as a dataset of three blocks; returns its hash. */
export async function writeSyntheticDataset(artifactUrl: string): Promise<string> {
  const script = `import sys
from nightshift_ml.artifacts import ArtifactStore
from support.market import Market, build_market
print(build_market(Market()).write(ArtifactStore(sys.argv[1])))`;
  const env = { ...process.env, PYTHONPATH: `${ML}:${join(ML, 'tests')}` };
  const { stdout } = await run(venvPython(), ['-c', script, artifactUrl], { env });
  return stdout.trim();
}
