import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { parse, parseDocument } from 'yaml';
import { z } from 'zod';
import { projectRoot, TEMPORAL_SERVER_VERSION, venvPython } from '../../scripts/lib/paths.mjs';
import { SEARCH_ATTRIBUTES } from '../../src/contracts/wire/messages.ts';
import { dataFolderAt } from '../../src/runtime/data-folder.ts';
import { readApiEnv } from '../../src/runtime/env.ts';
import { deriveRolePasswords } from '../../src/runtime/secrets.ts';
import { DYNAMIC_CONFIG } from '../../src/runtime/temporal.ts';

const run = promisify(execFile);
const read = (path: string): string => readFileSync(join(projectRoot, path), 'utf8');

// The parts of the Compose specification this file uses; anything else is a mistake here.
const duration = z.string().regex(/^\d+(s|m)$/);
const environment = z.record(z.string().regex(/^[A-Z][A-Z0-9_]*$/), z.string());
const service = z.strictObject({
  image: z.string(),
  build: z.strictObject({ context: z.string(), dockerfile: z.string() }).optional(),
  user: z.string().optional(),
  restart: z.string().regex(/^(unless-stopped|on-failure:\d+)$/),
  init: z.boolean().optional(),
  depends_on: z
    .record(
      z.string(),
      z.strictObject({ condition: z.enum(['service_healthy', 'service_completed_successfully']) }),
    )
    .optional(),
  environment: environment.optional(),
  entrypoint: z.array(z.string()).optional(),
  command: z.array(z.string()).optional(),
  volumes: z.array(z.string().regex(/^[^:]+:\/[^:]+(:ro)?$/)).optional(),
  ports: z.array(z.string().regex(/^127\.0\.0\.1:\d+:\d+$/)).optional(),
  healthcheck: z
    .strictObject({
      test: z.array(z.string()).min(2),
      interval: duration,
      timeout: duration,
      retries: z.number().int().positive(),
      start_period: duration.optional(),
    })
    .optional(),
  stop_grace_period: duration.optional(),
});
const composeSchema = z
  .object({
    name: z.string(),
    services: z.record(z.string(), service),
    volumes: z.record(z.string(), z.null()),
  })
  .catchall(z.unknown());

const text = read('docker-compose.yml');
const compose = composeSchema.parse(parse(text, { merge: true }));
const services = Object.entries(compose.services);
/** Enough for an API to start. */
const API_URLS = {
  NIGHTSHIFT_DB_URL_API: 'postgres://a@h/d',
  NIGHTSHIFT_DB_URL_PIPELINE: 'postgres://p@h/d',
};
const isOneShot = (name: string): boolean =>
  compose.services[name]?.restart.startsWith('on-failure') ?? false;

describe('docker-compose.yml', () => {
  it('is YAML without warnings, and has only x- extensions beside the specification', () => {
    const document = parseDocument(text, { merge: true });
    expect([...document.errors, ...document.warnings]).toEqual([]);
    const extra = Object.keys(compose).filter((key) => !['name', 'services', 'volumes'].includes(key));
    expect(extra.filter((key) => !key.startsWith('x-'))).toEqual([]);
  });

  it('is read by a Compose parser as it is meant, with the variables of make-env', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'nightshift-compose-'));
    const [env, podman] = [join(folder, '.env'), join(folder, 'podman')];
    await run(process.execPath, [join(projectRoot, 'deploy', 'make-env.mjs'), env]);
    // The parser asks the engine for its version before it reads; there is none here, and nothing else is asked.
    await writeFile(podman, '#!/bin/sh\necho "podman version 5.0.0"\n', { mode: 0o755 });
    const args = ['--podman-path', podman, '--env-file', env, '--file', 'docker-compose.yml', 'config'];
    const { stdout } = await run(venvPython(), ['-m', 'podman_compose', ...args], { cwd: projectRoot });
    await rm(folder, { recursive: true });
    const said = composeSchema.parse(parse(stdout));
    expect(Object.keys(said.services).sort()).toEqual(Object.keys(compose.services).sort());
    for (const [name, { image, depends_on = {}, healthcheck, volumes = [] }] of services) {
      expect(said.services[name]?.image).toBe(image);
      expect(said.services[name]?.depends_on ?? {}, name).toEqual(depends_on);
      expect(said.services[name]?.healthcheck?.test, name).toEqual(healthcheck?.test);
      expect(said.services[name]?.volumes ?? [], name).toHaveLength(volumes.length);
    }
    expect(stdout).not.toMatch(/\$\{/);
  });

  it('has every part of the production form', () => {
    expect(Object.keys(compose.services).sort()).toEqual([
      'api',
      'control',
      'ml-worker',
      'postgres',
      'temporal',
      'temporal-namespace',
      'temporal-schema',
      'temporal-ui',
      'worker',
    ]);
  });

  it('pins every image to a version and uses none that is deprecated', () => {
    for (const [name, { image }] of services) {
      expect(image, name).toMatch(/^[\w./-]+:\d+\.\d+[\w.-]*$/);
      expect(image, name).not.toMatch(/auto-setup|base-server|base-admin-tools|tctl/);
    }
    expect(compose.services['temporal']?.image).toBe(`temporalio/server:${TEMPORAL_SERVER_VERSION}`);
    expect(compose.services['temporal-schema']?.image).toBe(
      `temporalio/admin-tools:${TEMPORAL_SERVER_VERSION}`,
    );
    expect(compose.services['postgres']?.image).toMatch(/^postgres:18\./);
  });

  it('waits for what exists, in the way it can be waited for', () => {
    for (const [name, { depends_on = {} }] of services) {
      for (const [other, { condition }] of Object.entries(depends_on)) {
        expect(compose.services[other], `${name} → ${other}`).toBeDefined();
        if (condition === 'service_healthy')
          expect(compose.services[other]?.healthcheck, other).toBeDefined();
        else expect(isOneShot(other), other).toBe(true);
      }
    }
  });

  it('has no circle of waits', () => {
    const reach = (name: string, path: string[]): void => {
      expect(path, 'circle').not.toContain(name);
      for (const other of Object.keys(compose.services[name]?.depends_on ?? {}))
        reach(other, [...path, name]);
    };
    for (const [name] of services) reach(name, []);
  });

  it('checks the health of all that stays', () => {
    for (const [name, { healthcheck }] of services) {
      if (!isOneShot(name)) expect(healthcheck, name).toBeDefined();
    }
  });

  it('mounts volumes it declares and files that are there', () => {
    const used = new Set<string>();
    for (const [name, { volumes = [] }] of services) {
      for (const volume of volumes) {
        const source = volume.split(':')[0] ?? '';
        if (source.startsWith('./'))
          expect(existsSync(join(projectRoot, source)), `${name}: ${source}`).toBe(true);
        else used.add(source);
      }
    }
    expect([...used].sort()).toEqual(Object.keys(compose.volumes).sort());
  });

  it('builds from Dockerfiles whose sources are there', () => {
    for (const [, { build }] of services) {
      if (build === undefined) continue;
      const dockerfile = read(build.dockerfile);
      expect(dockerfile).toMatch(/^HEALTHCHECK /m);
      expect(dockerfile).toMatch(/^USER (?!root)/m);
      for (const [, image] of dockerfile.matchAll(/^FROM (\S+)/gm))
        expect(image).toMatch(/^(node:22|python:3\.12)-.*bookworm/);
      for (const [, words] of dockerfile.matchAll(/^COPY (?!--from)(.+)$/gm)) {
        const sources = words?.trim().split(/\s+/).slice(0, -1) ?? [];
        for (const source of sources) expect(existsSync(join(projectRoot, source)), source).toBe(true);
      }
    }
  });

  it('keeps the log files of all workers on one volume, where maintenance reaches them and the API reads them', () => {
    const mounts = new Map(
      services.map(([name, { volumes = [] }]) => [name, volumes.map((volume) => volume.split(':'))]),
    );
    for (const name of ['worker', 'ml-worker']) {
      const dockerfile = read(compose.services[name]?.build?.dockerfile ?? '');
      const folder = /NIGHTSHIFT_LOG_DIR=(\S+)/.exec(dockerfile)?.[1] ?? '';
      expect(mounts.get(name)).toContainEqual(['logs', folder]);
      // A volume takes its owner from the folder of the image.
      expect(dockerfile).toMatch(new RegExp(`mkdir [^&]*${folder}\\b`));
      expect(dockerfile).toMatch(new RegExp(`chown [^&\\n]*${folder}\\b`));
      // Two containers of one service would write into the same folder: their hosts name them.
      expect(compose.services[name]?.environment).not.toHaveProperty('NIGHTSHIFT_WORKER_NAME');
    }
    const { logs } = dataFolderAt('/data');
    expect(mounts.get('control')).toContainEqual(['logs', logs]);
    // The API reads them where its image says that logs are, and cannot write them.
    const image = read(compose.services['api']?.build?.dockerfile ?? '');
    const [, root = ''] = /NIGHTSHIFT_LOG_DIR=(\S+)/.exec(image) ?? [];
    expect(compose.services['api']?.environment).not.toHaveProperty('NIGHTSHIFT_LOG_DIR');
    expect(readApiEnv({ ...API_URLS, NIGHTSHIFT_LOG_DIR: root }).logDir).toBe(root);
    expect(mounts.get('api')).toContainEqual(['logs', root, 'ro']);
  });

  it('keeps secrets out of the file and the owner out of the workers', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'nightshift-env-'));
    const path = join(folder, '.env');
    await run(process.execPath, [join(projectRoot, 'deploy', 'make-env.mjs'), path]);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const lines = (await readFile(path, 'utf8')).trim().split('\n');
    const env = new Map(
      lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    );
    await expect(
      run(process.execPath, [join(projectRoot, 'deploy', 'make-env.mjs'), path]),
    ).rejects.toThrow();
    await rm(folder, { recursive: true });

    const asked = [...text.matchAll(/\$\{([A-Z_]+)(:[?-])?/g)];
    for (const [, variable = '', rule] of asked) {
      if (rule === ':?') expect(env.has(variable), variable).toBe(true);
      else expect(rule, variable).toBe(':-');
    }
    for (const [, { environment: values = {} }] of services) {
      for (const [key, value] of Object.entries(values)) {
        if (/PASSWORD|PWD/.test(key)) expect(value, key).toMatch(/^\$\{\w+:\?/);
      }
    }
    // Passwords are part of URLs: none of their letters may need escaping.
    for (const value of env.values()) expect(value).toMatch(/^[\w-]{43}$/);
    const derived = deriveRolePasswords(`postgres://o:${env.get('NIGHTSHIFT_OWNER_PASSWORD')}@h/d`);
    for (const [role, password] of Object.entries(derived)) {
      expect(env.get(`NIGHTSHIFT_${role.toUpperCase()}_PASSWORD`)).toBe(password);
    }
    for (const name of ['api', 'worker', 'ml-worker', 'temporal-ui']) {
      expect(JSON.stringify(compose.services[name])).not.toContain('OWNER');
    }
    // A model worker has one login, its own.
    const logins = JSON.stringify(compose.services['ml-worker']).match(/nightshift_\w+:/g);
    expect(logins).toEqual(['nightshift_ml:']);
  });

  it('runs the API in a container of its own, with two logins and a port on loopback', () => {
    const { command, environment = {}, ports, healthcheck } = compose.services['api'] ?? {};
    expect(command).toEqual(['node', '--enable-source-maps', 'dist/api/main.js']);
    const filled = Object.entries(environment).map(([name, value]) => [
      name,
      value.replaceAll(/\$\{\w+:\?[^}]*\}/g, 'secret').replaceAll(/\$\{\w+:-([^}]*)\}/g, '$1'),
    ]);
    const env = readApiEnv(Object.fromEntries(filled));
    expect(new URL(env.databaseUrls.api).username).toBe('nightshift_api');
    expect(new URL(env.databaseUrls.pipeline).username).toBe('nightshift_pipeline');
    expect(JSON.stringify(environment).match(/nightshift_\w+:/g)).toHaveLength(2);
    expect(env.temporalNamespace).toBe(compose.services['worker']?.environment?.['TEMPORAL_NAMESPACE']);
    // A port is reached from outside its container only where the program listens on all its addresses.
    expect(env).toMatchObject({ host: '0.0.0.0', parentPid: null, tracesUrl: null });
    expect(ports).toEqual([`127.0.0.1:${env.port}:${env.port}`]);
    expect(healthcheck?.test.join(' ')).toContain(`http://127.0.0.1:${env.port}/healthz`);
    expect(compose.services['control']?.command).toContain('--no-api');
  });

  it('gives the server the settings of the embedded one, with their reason', () => {
    const mounted = compose.services['temporal']?.volumes?.[0]?.split(':') ?? [];
    expect(mounted[1]).toBe(compose.services['temporal']?.environment?.['DYNAMIC_CONFIG_FILE_PATH']);
    const path = mounted[0] ?? '';
    const config: unknown = parse(read(path));
    expect(config).toMatchObject({
      'history.transferProcessorMaxPollRPS': [
        { value: Number(DYNAMIC_CONFIG['history.transferProcessorMaxPollRPS']) },
      ],
    });
    expect(read(path)).toMatch(/^# .*transfer queue/m);
    const namespaceScript = read('deploy/temporal-namespace.sh');
    expect(namespaceScript).toContain(`for name in ${SEARCH_ATTRIBUTES.join(' ')};`);
    expect(namespaceScript).toContain('--retention 30d');
  });

  it('has shell scripts a shell accepts', async () => {
    for (const name of readdirSync(join(projectRoot, 'deploy')).filter((file) => file.endsWith('.sh'))) {
      await run('/bin/sh', ['-n', join(projectRoot, 'deploy', name)]);
    }
  });
});
