import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer, get, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { projectRoot, TEMPORAL_CLI_VERSION } from '../../scripts/lib/paths.mjs';
import { requireGlibc } from '../../scripts/lib/libc.mjs';
import { CONNECT_LIMIT_MS, downloadTemporal, PINNED_SHA256 } from '../../scripts/lib/temporal-download.mjs';
import { hashOf, stamp, useSetupCopy } from '../support/setup-copy.ts';

const run = promisify(execFile);
const copy = useSetupCopy();
const python = (name: string, version: number[], venv: boolean): Promise<void> =>
  copy.program(name, `echo '${JSON.stringify({ version, path: join(copy.programs, name), venv })}'`);
const temporalReporting = (server: string): string =>
  `echo "temporal version 0.0.0-DEV (Server ${server}, UI 2.50.1)"`;

describe('Python', () => {
  beforeEach(async () => {
    await copy.nodePackagesDone();
    await copy.program('temporal', temporalReporting('1.31.2'));
  });

  it('says that there is none, and what to install', async () => {
    const { code, output } = await copy.setup();
    expect(code).toBe(1);
    expect(output).toContain('no Python found');
    expect(output).toContain('Install Python 3.11 to 3.13');
    expect(output).not.toContain('    at ');
  });

  it('names those outside the tested range', async () => {
    await python('python3', [3, 10, 2], true);
    await python('python', [3, 14, 0], true);
    const { code, output } = await copy.setup();
    expect(code).toBe(1);
    expect(output).toContain('no Python in the tested range (3.11 to 3.13)');
    expect(output).toContain('python3 is 3.10.2');
    expect(output).toContain('python is 3.14.0');
  });

  it('says how to get the venv module', async () => {
    await python('python3', [3, 12, 1], false);
    const { code, output } = await copy.setup();
    expect(code).toBe(1);
    expect(output).toContain('apt-get install python3-venv');
  });

  it('passes over one that cannot be used and takes the next', async () => {
    await copy.program('python3.13', 'echo "pyenv: not found" >&2; exit 127');
    await python('python3.12', [3, 12, 1], false);
    await copy.program(
      'python3.11',
      `if [ "$1" = -c ]; then echo '{"version":[3,11,7],"path":"${join(copy.programs, 'python3.11')}","venv":true}'; else echo "No space left on device"; exit 1; fi`,
    );
    const { code, output } = await copy.setup();
    expect(code).toBe(1);
    expect(output).toContain('creating .venv with Python 3.11.7');
    expect(output).toContain('The disk is full');
  });
});

describe('Temporal server', () => {
  beforeEach(async () => {
    await copy.nodePackagesDone();
    await copy.pythonDone();
  });

  it('takes a temporal on the PATH only with the pinned server', async () => {
    await copy.program('temporal', temporalReporting('1.31.2'));
    expect(await copy.setup()).toMatchObject({ code: 0 });
    await copy.program('temporal', `${temporalReporting('1.30.0')} # another file`);
    const { code, output } = await copy.setup();
    expect(code).toBe(1);
    expect(output).toContain('Go was not found');
    expect(output).toContain('TEMPORAL_ADDRESS');
  });

  it('needs none when the environment names a cluster', async () => {
    expect(await copy.setup({ TEMPORAL_ADDRESS: 'temporal.example.org:7233' })).toMatchObject({ code: 0 });
  });

  it('says when Go is too old', async () => {
    await copy.program('go', 'echo "go version go1.19.8 linux/amd64"');
    const { code, output } = await copy.setup();
    expect(code).toBe(1);
    expect(output).toContain('Go 1.19 is too old');
  });

  it('explains a build that failed, and builds into the cache without a half file', async () => {
    await copy.program(
      'go',
      'if [ "$1" = version ]; then echo "go version go1.24.1 linux/amd64"; else echo "dial tcp: lookup modules.example: no such host"; exit 1; fi',
    );
    const failed = await copy.setup();
    expect(failed.code).toBe(1);
    expect(failed.output).toContain('4 to 10 minutes');
    expect(failed.output).toContain('No network');
    // A Go that "builds" a program which reports the pinned server.
    await copy.program(
      'go',
      `if [ "$1" = version ]; then echo "go version go1.26.4 linux/amd64"; exit; fi
while [ "$1" != -o ]; do shift; done
printf '#!/bin/sh\\necho "temporal version 0 (Server 1.31.2, UI 2)"\\n' > "$2"
/bin/chmod 755 "$2"`,
    );
    const binary = join(copy.root, 'cache', 'nightshift', 'temporal', '1.31.2', 'temporal');
    await writeFile(`${binary}.99999999.tmp`, 'half a file of a set-up that was killed');
    expect(await copy.setup()).toMatchObject({ code: 0 });
    expect(await readdir(dirname(binary))).toEqual(['temporal']);
    expect((await stat(binary)).mode & 0o100).toBe(0o100);
    await rm(join(copy.programs, 'go'));
    const again = await copy.setup();
    expect(again).toMatchObject({ code: 0 });
    expect(again.output).not.toContain('building');
  });
});

describe('Node packages', () => {
  const platform = `${process.platform}-${process.arch}-${process.versions.modules}`;
  beforeEach(async () => {
    await copy.pythonDone();
    await copy.program('temporal', temporalReporting('1.31.2'));
    await copy.program('npm', 'echo "$@" >> ' + join(copy.root, 'npm-calls'));
    // What npm writes for this lockfile, without the packages of other systems.
    const { packages }: { packages: Record<string, { optional?: boolean }> } = JSON.parse(
      await readFile(join(copy.project, 'package-lock.json'), 'utf8'),
    );
    const installed = Object.entries(packages).filter(([path, { optional }]) => path !== '' && !optional);
    await mkdir(join(copy.project, 'node_modules'));
    await writeFile(
      join(copy.project, 'node_modules', '.package-lock.json'),
      JSON.stringify({ packages: Object.fromEntries(installed) }),
    );
  });
  const npmCalls = (): Promise<string> => readFile(join(copy.root, 'npm-calls'), 'utf8').catch(() => '');

  it('stand that a developer installed here, whatever the lockfile was before', async () => {
    await stamp(join(copy.project, 'node_modules'), { hash: 'of the lockfile before', target: platform });
    expect(await copy.setup()).toMatchObject({ code: 0 });
    expect(await npmCalls()).toBe('');
  });

  it.each([
    ['another system', 'darwin-arm64-127'],
    ['another Node', `${process.platform}-${process.arch}-1`],
    ['one that is not known', undefined],
  ])('that were installed for %s are installed anew', async (_which, target) => {
    await stamp(join(copy.project, 'node_modules'), { hash: 'of the same lockfile there', target });
    expect(await copy.setup()).toMatchObject({ code: 0 });
    expect(await npmCalls()).toBe('ci --no-audit --no-fund\n');
    expect(await copy.setup()).toMatchObject({ code: 0 });
    expect(await npmCalls()).toBe('ci --no-audit --no-fund\n');
  });
});

describe('the test command', () => {
  it('ends with counts when its set-up fails, and needs a server whatever cluster is named', async () => {
    await copy.nodePackagesDone();
    await copy.pythonDone();
    const venv = join(copy.project, '.venv');
    const locks = { runtime: 'requirements.lock', dev: 'requirements-dev.lock' };
    const hashes = Object.entries(locks).map(async ([kind, name]) => [
      kind,
      hashOf([await readFile(join(copy.project, 'ml', name)), venv]),
    ]);
    await stamp(venv, Object.fromEntries(await Promise.all(hashes)));
    const { code, output } = await copy.start({ TEMPORAL_ADDRESS: 'temporal.example.org:7233' }, 'test.mjs')
      .over;
    expect(code).toBe(1);
    expect(output).toContain('Go was not found');
    expect(output).not.toContain('    at ');
    expect(output.trim().split('\n').at(-1)).toBe('0 passed, 1 failed');
  });
});

describe('the build', () => {
  it('says what it does and how long it took, when it does something', async () => {
    await symlink(join(projectRoot, 'node_modules'), join(copy.project, 'node_modules'));
    await mkdir(join(copy.project, 'src', 'cli'), { recursive: true });
    await writeFile(join(copy.project, 'src', 'cli', 'main.ts'), 'export const answer: number = 42;\n');
    const first = await copy.start({}, 'build.mjs').over;
    expect(first.code, first.output).toBe(0);
    expect(first.output).toMatch(/^\[build\] bundling the command and the worker into dist\/$/m);
    expect(first.output).toMatch(/^\[build\] done in \d+\.\d s$/m);
    expect((await copy.start({}, 'build.mjs').over).output).not.toContain('[build]');
  });
});

describe('speed', () => {
  it('needs less than half a second when nothing changed', async () => {
    await copy.nodePackagesDone();
    await copy.pythonDone();
    await copy.program('temporal', temporalReporting('1.31.2'));
    await copy.setup();
    const times: number[] = [];
    for (let number = 0; number < 5; number += 1) {
      const startedAt = performance.now();
      expect(await copy.setup()).toMatchObject({ code: 0 });
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
      target: join(copy.root, 'temporal'),
      signal: new AbortController().signal,
      base,
      request: get,
      pins: { [asset]: sha256(archive) },
      ...more,
    });

  beforeEach(async () => {
    await writeFile(join(copy.root, 'LICENSE'), 'x'.repeat(1500));
    await writeFile(join(copy.programs, 'temporal'), 'the binary');
    await run('tar', [
      '-czf',
      join(copy.root, 'release.tar.gz'),
      '-C',
      copy.root,
      'LICENSE',
      '-C',
      copy.programs,
      'temporal',
    ]);
    archive = await readFile(join(copy.root, 'release.tar.gz'));
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
    expect(await readFile(join(copy.root, 'temporal'), 'utf8')).toBe('the binary');
    expect((await stat(join(copy.root, 'temporal'))).mode & 0o777).toBe(0o755);
    expect(asked).not.toContain('/checksums.txt');
  });

  it('refuses an archive that was exchanged together with the checksum file of its release', async () => {
    const pins = { [asset]: '2'.repeat(64) };
    await expect(download({ pins })).rejects.toThrow(`pinned to ${'2'.repeat(64)}`);
    expect(await readdir(copy.root)).not.toContain('temporal');
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
    expect(await readFile(join(copy.root, 'temporal'), 'utf8')).toBe('the binary');
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
