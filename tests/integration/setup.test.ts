import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer, get, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hostname, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { projectRoot, TEMPORAL_CLI_VERSION } from '../../scripts/lib/paths.mjs';
import { removeStale } from '../../scripts/lib/setup-lock.mjs';
import { identify, isRunning, type ProcessIdentity } from '../../src/runtime/process-identity.ts';
import { requireGlibc } from '../../scripts/lib/libc.mjs';
import { CONNECT_LIMIT_MS, downloadTemporal, PINNED_SHA256 } from '../../scripts/lib/temporal-download.mjs';

const run = promisify(execFile);
let root: string;
let project: string;
let programs: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'nightshift-setup-'));
  project = join(root, 'project');
  programs = join(root, 'bin');
  await mkdir(programs);
  for (const part of [
    'package.json',
    'package-lock.json',
    'scripts',
    'tools',
    'ml/requirements.lock',
    'ml/requirements-dev.lock',
  ]) {
    await cp(join(projectRoot, part), join(project, part), { recursive: true });
  }
});
afterEach(() => rm(root, { recursive: true, force: true }));

type Run = {
  process: ChildProcess;
  output: () => string;
  over: Promise<{ code: number | null; output: string }>;
};

/** Starts a script of the copy, with nothing on the PATH but our own programs. */
function start(env: Record<string, string> = {}, script = 'setup.mjs'): Run {
  const child = spawn(process.execPath, [join(project, 'scripts', script)], {
    cwd: project,
    env: {
      PATH: programs,
      HOME: root,
      XDG_CACHE_HOME: join(root, 'cache'),
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
const setup = (env: Record<string, string> = {}): Run['over'] => start(env).over;

async function program(name: string, script: string): Promise<void> {
  await writeFile(join(programs, name), `#!/bin/sh\n${script}\n`);
  await chmod(join(programs, name), 0o755);
}
const python = (name: string, version: number[], venv: boolean): Promise<void> =>
  program(name, `echo '${JSON.stringify({ version, path: join(programs, name), venv })}'`);

/** Steps that are not looked at count as done. */
async function nodePackagesDone(): Promise<void> {
  const parts = [
    await readFile(join(project, 'package-lock.json')),
    process.platform,
    process.arch,
    process.versions.modules,
  ];
  await stamp(join(project, 'node_modules'), { hash: hashOf(parts) });
}
async function pythonDone(): Promise<void> {
  const venv = join(project, '.venv');
  await stamp(venv, { runtime: hashOf([await readFile(join(project, 'ml', 'requirements.lock')), venv]) });
  await mkdir(join(venv, 'bin'));
  await writeFile(join(venv, 'bin', 'python'), '');
}
async function stamp(folder: string, content: unknown): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, '.nightshift-setup.json'), JSON.stringify(content));
}
function hashOf(parts: (string | Buffer)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part).update('\0');
  return hash.digest('hex');
}
const temporalReporting = (server: string): string =>
  `echo "temporal version 0.0.0-DEV (Server ${server}, UI 2.50.1)"`;

describe('Python', () => {
  beforeEach(async () => {
    await nodePackagesDone();
    await program('temporal', temporalReporting('1.31.2'));
  });

  it('says that there is none, and what to install', async () => {
    const { code, output } = await setup();
    expect(code).toBe(1);
    expect(output).toContain('no Python found');
    expect(output).toContain('Install Python 3.11 to 3.13');
    expect(output).not.toContain('    at ');
  });

  it('names those outside the tested range', async () => {
    await python('python3', [3, 10, 2], true);
    await python('python', [3, 14, 0], true);
    const { code, output } = await setup();
    expect(code).toBe(1);
    expect(output).toContain('no Python in the tested range (3.11 to 3.13)');
    expect(output).toContain('python3 is 3.10.2');
    expect(output).toContain('python is 3.14.0');
  });

  it('says how to get the venv module', async () => {
    await python('python3', [3, 12, 1], false);
    const { code, output } = await setup();
    expect(code).toBe(1);
    expect(output).toContain('apt-get install python3-venv');
  });

  it('passes over one that cannot be used and takes the next', async () => {
    await program('python3.13', 'echo "pyenv: not found" >&2; exit 127');
    await python('python3.12', [3, 12, 1], false);
    await program(
      'python3.11',
      `if [ "$1" = -c ]; then echo '{"version":[3,11,7],"path":"${join(programs, 'python3.11')}","venv":true}'; else echo "No space left on device"; exit 1; fi`,
    );
    const { code, output } = await setup();
    expect(code).toBe(1);
    expect(output).toContain('creating .venv with Python 3.11.7');
    expect(output).toContain('The disk is full');
  });
});

describe('Temporal server', () => {
  beforeEach(async () => {
    await nodePackagesDone();
    await pythonDone();
  });

  it('takes a temporal on the PATH only with the pinned server', async () => {
    await program('temporal', temporalReporting('1.31.2'));
    expect(await setup()).toMatchObject({ code: 0 });
    await program('temporal', `${temporalReporting('1.30.0')} # another file`);
    const { code, output } = await setup();
    expect(code).toBe(1);
    expect(output).toContain('Go was not found');
    expect(output).toContain('TEMPORAL_ADDRESS');
  });

  it('needs none when the environment names a cluster', async () => {
    expect(await setup({ TEMPORAL_ADDRESS: 'temporal.example.org:7233' })).toMatchObject({ code: 0 });
  });

  it('says when Go is too old', async () => {
    await program('go', 'echo "go version go1.19.8 linux/amd64"');
    const { code, output } = await setup();
    expect(code).toBe(1);
    expect(output).toContain('Go 1.19 is too old');
  });

  it('explains a build that failed, and builds into the cache without a half file', async () => {
    await program(
      'go',
      'if [ "$1" = version ]; then echo "go version go1.24.1 linux/amd64"; else echo "dial tcp: lookup modules.example: no such host"; exit 1; fi',
    );
    const failed = await setup();
    expect(failed.code).toBe(1);
    expect(failed.output).toContain('4 to 10 minutes');
    expect(failed.output).toContain('No network');
    // A Go that "builds" a program which reports the pinned server.
    await program(
      'go',
      `if [ "$1" = version ]; then echo "go version go1.26.4 linux/amd64"; exit; fi
while [ "$1" != -o ]; do shift; done
printf '#!/bin/sh\\necho "temporal version 0 (Server 1.31.2, UI 2)"\\n' > "$2"
/bin/chmod 755 "$2"`,
    );
    const binary = join(root, 'cache', 'nightshift', 'temporal', '1.31.2', 'temporal');
    await writeFile(`${binary}.99999999.tmp`, 'half a file of a set-up that was killed');
    expect(await setup()).toMatchObject({ code: 0 });
    expect(await readdir(dirname(binary))).toEqual(['temporal']);
    expect((await stat(binary)).mode & 0o100).toBe(0o100);
    await rm(join(programs, 'go'));
    const again = await setup();
    expect(again).toMatchObject({ code: 0 });
    expect(again.output).not.toContain('building');
  });
});

describe('the lock', () => {
  let lock: string;
  /** A build that takes as long as the file `hold` is there, and says when two of them run at once. */
  beforeEach(async () => {
    await nodePackagesDone();
    await pythonDone();
    const cache = join(root, 'cache', 'nightshift');
    await mkdir(cache, { recursive: true });
    lock = join(cache, `setup-${hashOf([project]).slice(0, 16)}.lock`);
    await program(
      'go',
      `if [ "$1" = version ]; then echo "go version go1.26.4 linux/amd64"; exit; fi
/bin/mkdir ${root}/building || echo two >> ${root}/overlap
trap "" TERM
echo $$ >> ${root}/pids
/bin/sh -c 'echo $$ >> ${root}/pids; while [ -e ${root}/hold ]; do /bin/sleep 0.05; done'
while [ "$1" != -o ]; do shift; done
printf '#!/bin/sh\\necho "temporal version 0 (Server 1.31.2, UI 2)"\\n' > "$2"
/bin/chmod 755 "$2"
/bin/rmdir ${root}/building`,
    );
  });

  const pidsOfBuild = async (): Promise<ProcessIdentity[]> => {
    const pids = (await readFile(join(root, 'pids'), 'utf8')).trim().split('\n').map(Number);
    expect(pids).toHaveLength(2);
    return (await Promise.all(pids.map(identify))).filter((identity) => identity !== null);
  };
  /** The processes of a build that goes on until it is ended. */
  const untilBuilding = (): Promise<ProcessIdentity[]> =>
    vi.waitFor(pidsOfBuild, { timeout: 20_000, interval: 20 });

  it('of a killed set-up is taken over, also when its pid belongs to another process by now', async () => {
    const earlier = { ...(await identify(process.pid)), startedAt: 'before the last boot', children: [] };
    await writeFile(lock, JSON.stringify(earlier));
    expect(await setup()).toMatchObject({ code: 0 });
    await rm(join(root, 'cache', 'nightshift', 'temporal'), { recursive: true });
    await writeFile(lock, String(process.pid));
    expect(await setup()).toMatchObject({ code: 0 });
    expect((await readdir(dirname(lock))).filter((name) => name.includes('.lock'))).toEqual([]);
  });

  it('of one that runs is waited for, here by its process and elsewhere by its sign of life', async () => {
    const holder = { ...(await identify(process.pid)), children: [] };
    for (const living of [holder, { ...holder, pid: 1, startedAt: 'there', host: `not-${hostname()}` }]) {
      await writeFile(lock, JSON.stringify(living));
      const waiting = start();
      await vi.waitFor(() => expect(waiting.output()).toContain('another set-up of this folder is running'), {
        timeout: 20_000,
      });
      expect(waiting.output()).not.toContain('building');
      await rm(lock);
      expect(await waiting.over).toMatchObject({ code: 0 });
      await rm(join(root, 'cache', 'nightshift', 'temporal'), { recursive: true });
    }
  });

  it('is not taken from one that was faster to take over', async () => {
    await writeFile(lock, 'the new one');
    removeStale(lock, 'the stale one');
    expect(await readFile(lock, 'utf8')).toBe('the new one');
    removeStale(lock, 'the new one');
    expect((await readdir(dirname(lock))).filter((name) => name.includes('.lock'))).toEqual([]);
  });

  it('lets one of several at a time work that find a stale one', async () => {
    await writeFile(lock, JSON.stringify({ pid: 4_194_303, startedAt: 'x', host: hostname(), children: [] }));
    const outcomes = await Promise.all([1, 2, 3, 4].map(() => setup()));
    expect(outcomes.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
    expect(await readdir(root)).not.toContain('overlap');
  });

  it.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
    ['SIGHUP', 129],
  ] as const)('is free and nothing runs on after %s', async (signal, code) => {
    await writeFile(join(root, 'hold'), '');
    const run = start();
    const build = await untilBuilding();
    run.process.kill(signal);
    const { code: ended, output } = await run.over;
    expect(ended).toBe(code);
    expect(output).toContain('because it was interrupted');
    expect(output).not.toContain('    at ');
    for (const identity of build) expect(await isRunning(identity)).toBe(false);
    expect((await readdir(dirname(lock))).filter((name) => name.includes('.lock'))).toEqual([]);
  });

  it('is held after kill -9 until what was started is gone too, which is soon', async () => {
    await writeFile(join(root, 'hold'), '');
    const run = start();
    const build = await untilBuilding();
    run.process.kill('SIGKILL');
    await run.over;
    // It ignores the polite signal: the next one may not begin meanwhile.
    const next = start();
    await vi.waitFor(() => expect(next.output()).toContain('another set-up of this folder is running'), {
      timeout: 20_000,
    });
    await vi.waitFor(() => expect(next.output()).toContain('building'), { timeout: 20_000, interval: 10 });
    for (const identity of build) expect(await isRunning(identity)).toBe(false);
    await rm(join(root, 'hold'));
    await rm(join(root, 'building'), { recursive: true });
    await next.over;
  });
});

describe('Node packages', () => {
  const platform = `${process.platform}-${process.arch}-${process.versions.modules}`;
  beforeEach(async () => {
    await pythonDone();
    await program('temporal', temporalReporting('1.31.2'));
    await program('npm', 'echo "$@" >> ' + join(root, 'npm-calls'));
    // What npm writes for this lockfile, without the packages of other systems.
    const { packages }: { packages: Record<string, { optional?: boolean }> } = JSON.parse(
      await readFile(join(project, 'package-lock.json'), 'utf8'),
    );
    const installed = Object.entries(packages).filter(([path, { optional }]) => path !== '' && !optional);
    await mkdir(join(project, 'node_modules'));
    await writeFile(
      join(project, 'node_modules', '.package-lock.json'),
      JSON.stringify({ packages: Object.fromEntries(installed) }),
    );
  });
  const npmCalls = (): Promise<string> => readFile(join(root, 'npm-calls'), 'utf8').catch(() => '');

  it('stand that a developer installed here, whatever the lockfile was before', async () => {
    await stamp(join(project, 'node_modules'), { hash: 'of the lockfile before', target: platform });
    expect(await setup()).toMatchObject({ code: 0 });
    expect(await npmCalls()).toBe('');
  });

  it.each([
    ['another system', 'darwin-arm64-127'],
    ['another Node', `${process.platform}-${process.arch}-1`],
    ['one that is not known', undefined],
  ])('that were installed for %s are installed anew', async (_which, target) => {
    await stamp(join(project, 'node_modules'), { hash: 'of the same lockfile there', target });
    expect(await setup()).toMatchObject({ code: 0 });
    expect(await npmCalls()).toBe('ci --no-audit --no-fund\n');
    expect(await setup()).toMatchObject({ code: 0 });
    expect(await npmCalls()).toBe('ci --no-audit --no-fund\n');
  });
});

describe('the test command', () => {
  it('ends with counts when its set-up fails, and needs a server whatever cluster is named', async () => {
    await nodePackagesDone();
    await pythonDone();
    const venv = join(project, '.venv');
    const locks = { runtime: 'requirements.lock', dev: 'requirements-dev.lock' };
    const hashes = Object.entries(locks).map(async ([kind, name]) => [
      kind,
      hashOf([await readFile(join(project, 'ml', name)), venv]),
    ]);
    await stamp(venv, Object.fromEntries(await Promise.all(hashes)));
    const { code, output } = await start({ TEMPORAL_ADDRESS: 'temporal.example.org:7233' }, 'test.mjs').over;
    expect(code).toBe(1);
    expect(output).toContain('Go was not found');
    expect(output).not.toContain('    at ');
    expect(output.trim().split('\n').at(-1)).toBe('0 passed, 1 failed');
  });
});

describe('the build', () => {
  it('says what it does and how long it took, when it does something', async () => {
    await symlink(join(projectRoot, 'node_modules'), join(project, 'node_modules'));
    await mkdir(join(project, 'src', 'cli'), { recursive: true });
    await writeFile(join(project, 'src', 'cli', 'main.ts'), 'export const answer: number = 42;\n');
    const first = await start({}, 'build.mjs').over;
    expect(first.code, first.output).toBe(0);
    expect(first.output).toMatch(/^\[build\] bundling the command and the worker into dist\/$/m);
    expect(first.output).toMatch(/^\[build\] done in \d+\.\d s$/m);
    expect((await start({}, 'build.mjs').over).output).not.toContain('[build]');
  });
});

describe('speed', () => {
  it('needs less than half a second when nothing changed', async () => {
    await nodePackagesDone();
    await pythonDone();
    await program('temporal', temporalReporting('1.31.2'));
    await setup();
    const times: number[] = [];
    for (let number = 0; number < 5; number += 1) {
      const startedAt = performance.now();
      expect(await setup()).toMatchObject({ code: 0 });
      times.push(performance.now() - startedAt);
    }
    const median = times.sort((a, b) => a - b)[2] ?? Number.NaN;
    console.log(
      `set-up with nothing to do: ${median.toFixed(0)} ms (median of 5, Node's own start included)`,
    );
    expect(median).toBeLessThan(500);
  });
});

describe('official download', () => {
  let server: Server;
  let base: string;
  let archive: Buffer;
  let checksums: string;
  let asked: string[];
  const asset = `temporal_cli_${TEMPORAL_CLI_VERSION}_${process.platform}_${process.arch === 'x64' ? 'amd64' : process.arch}.tar.gz`;
  const download = (more: Partial<Parameters<typeof downloadTemporal>[0]> = {}): Promise<void> =>
    downloadTemporal({
      target: join(root, 'temporal'),
      signal: new AbortController().signal,
      base,
      request: get,
      pins: { [asset]: sha256(archive) },
      ...more,
    });

  beforeEach(async () => {
    await writeFile(join(root, 'LICENSE'), 'x'.repeat(1500));
    await writeFile(join(programs, 'temporal'), 'the binary');
    await run('tar', [
      '-czf',
      join(root, 'release.tar.gz'),
      '-C',
      root,
      'LICENSE',
      '-C',
      programs,
      'temporal',
    ]);
    archive = await readFile(join(root, 'release.tar.gz'));
    checksums = `${'0'.repeat(64)}  other.tar.gz\n${sha256(archive)}  ${asset}\n`;
    asked = [];
    server = createServer((request, response) => {
      asked.push(request.url ?? '');
      if (request.url === '/checksums.txt') response.end(checksums);
      else if (request.url === `/${asset}`) response.writeHead(302, { location: '/moved' }).end();
      else if (request.url === '/moved') response.end(archive);
      else response.writeHead(404).end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  it('checks the pinned sha256, whatever the release says, and unpacks the program', async () => {
    checksums = `${'1'.repeat(64)}  ${asset}\n`;
    await download();
    expect(await readFile(join(root, 'temporal'), 'utf8')).toBe('the binary');
    expect((await stat(join(root, 'temporal'))).mode & 0o777).toBe(0o755);
    expect(asked).not.toContain('/checksums.txt');
  });

  it('refuses an archive that was exchanged together with the checksum file of its release', async () => {
    const pins = { [asset]: '2'.repeat(64) };
    await expect(download({ pins })).rejects.toThrow(`pinned to ${'2'.repeat(64)}`);
    expect(await readdir(root)).not.toContain('temporal');
  });

  it('has a pin for each platform of the version it fetches by default', () => {
    const platforms = ['linux_amd64', 'linux_arm64', 'darwin_amd64', 'darwin_arm64'];
    expect(Object.keys(PINNED_SHA256)).toEqual(
      platforms.map((name) => `temporal_cli_${TEMPORAL_CLI_VERSION}_${name}.tar.gz`),
    );
    expect(new Set(Object.values(PINNED_SHA256)).size).toBe(platforms.length);
    for (const pin of Object.values(PINNED_SHA256)) expect(pin).toMatch(/^[0-9a-f]{64}$/);
  });

  it('without a pin checks the sha256 of the release, and refuses an archive that it does not name', async () => {
    await download({ pins: {} });
    expect(await readFile(join(root, 'temporal'), 'utf8')).toBe('the binary');
    checksums = `${'1'.repeat(64)}  ${asset}\n`;
    await expect(download({ pins: {} })).rejects.toThrow('its release says 1111');
    checksums = '';
    await expect(download({ pins: {} })).rejects.toThrow('does not name');
    await expect(download({ base: `${base}/nowhere` })).rejects.toThrow('answered 404');
  });

  it('gives up when no connection comes about', async () => {
    // 192.0.2.0/24 is for documentation: packets to it go nowhere, or are refused at once.
    expect(CONNECT_LIMIT_MS).toBe(5000);
    const startedAt = Date.now();
    await expect(download({ base: 'http://192.0.2.1', connectLimitMs: 400 })).rejects.toThrow();
    expect(Date.now() - startedAt).toBeLessThan(2000);
  });
});

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

describe('the C library', () => {
  const glibc = { glibcVersionRuntime: '2.36' };
  it.each([
    ['Node names a glibc', { platform: 'linux', header: glibc, loader: '' }],
    [
      'no report, ldd of Debian',
      { platform: 'linux', header: null, loader: 'ldd (Debian GLIBC 2.36-9) 2.36' },
    ],
    ['no report, no ldd', { platform: 'linux', header: null, loader: 'spawn ldd ENOENT' }],
    ['another system', { platform: 'darwin', header: {}, loader: '' }],
  ])('is fine: %s', (_name, system) => {
    expect(() => requireGlibc(system)).not.toThrow();
  });

  it.each([
    ['Node names no glibc', { platform: 'linux', header: {}, loader: '' }],
    [
      'no report, ldd of Alpine',
      { platform: 'linux', header: null, loader: 'musl libc (x86_64)\nVersion 1.2.5' },
    ],
  ])('that is musl is named, with what to do: %s', (_name, system) => {
    expect(() => requireGlibc(system)).toThrow(
      expect.objectContaining({
        message: expect.stringContaining(
          'uses musl (Alpine?), for which the Temporal SDK and Postgres have no builds',
        ),
        advice: [expect.stringContaining('Use a system with glibc, for example Debian')],
      }),
    );
  });
});
