import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import { projectRoot } from '../../scripts/lib/paths.mjs';

/** What set-up reads of the project. */
const PARTS = [
  'package.json',
  'package-lock.json',
  'scripts',
  'tools',
  'ml/requirements.lock',
  'ml/requirements-dev.lock',
];

type Run = {
  process: ChildProcess;
  output: () => string;
  over: Promise<{ code: number | null; output: string }>;
};

/** A copy of the project's scripts in a folder of its own, with nothing on the PATH but programs of the test. */
class SetupCopy {
  #root: string | undefined;

  get root(): string {
    if (this.#root === undefined) throw new Error('the copy is made before each test');
    return this.#root;
  }
  get project(): string {
    return join(this.root, 'project');
  }
  /** The only folder on the PATH. */
  get programs(): string {
    return join(this.root, 'bin');
  }

  async make(): Promise<void> {
    this.#root = await mkdtemp(join(tmpdir(), 'nightshift-setup-'));
    await mkdir(this.programs);
    for (const part of PARTS) {
      await cp(join(projectRoot, part), join(this.project, part), { recursive: true });
    }
  }

  async remove(): Promise<void> {
    await rm(this.root, { recursive: true, force: true });
  }

  /** Starts a script of the copy. */
  start(env: Record<string, string> = {}, script = 'setup.mjs'): Run {
    const child = spawn(process.execPath, [join(this.project, 'scripts', script)], {
      cwd: this.project,
      env: {
        PATH: this.programs,
        HOME: this.root,
        XDG_CACHE_HOME: join(this.root, 'cache'),
        NIGHTSHIFT_TEMPORAL_DOWNLOAD: '0',
        ...env,
      },
    });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const over = new Promise<{ code: number | null; output: string }>((resolve) => {
      child.once('close', (code) => resolve({ code, output }));
    });
    return { process: child, output: () => output, over };
  }

  setup(env: Record<string, string> = {}): Run['over'] {
    return this.start(env).over;
  }

  /** Puts a shell script on the PATH. */
  async program(name: string, script: string): Promise<void> {
    await writeFile(join(this.programs, name), `#!/bin/sh\n${script}\n`);
    await chmod(join(this.programs, name), 0o755);
  }

  /** Steps that are not looked at count as done. */
  async nodePackagesDone(): Promise<void> {
    const parts = [
      await readFile(join(this.project, 'package-lock.json')),
      process.platform,
      process.arch,
      process.versions.modules,
    ];
    await stamp(join(this.project, 'node_modules'), { hash: hashOf(parts) });
  }

  async pythonDone(): Promise<void> {
    const venv = join(this.project, '.venv');
    const lock = await readFile(join(this.project, 'ml', 'requirements.lock'));
    await stamp(venv, { runtime: hashOf([lock, venv]) });
    await mkdir(join(venv, 'bin'));
    await writeFile(join(venv, 'bin', 'python'), '');
  }
}

/** Marks a folder as set-up leaves it. */
export async function stamp(folder: string, content: unknown): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, '.nightshift-setup.json'), JSON.stringify(content));
}

/** As the scripts name what they have seen. */
export function hashOf(parts: (string | Buffer)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part).update('\0');
  return hash.digest('hex');
}

/** A new copy for each test of the file. */
export function useSetupCopy(): SetupCopy {
  const copy = new SetupCopy();
  beforeEach(() => copy.make());
  afterEach(() => copy.remove());
  return copy;
}
