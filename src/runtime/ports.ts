import { execFile } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { createConnection, createServer } from 'node:net';
import { promisify } from 'node:util';
import { commandOf } from './process-identity.ts';

const run = promisify(execFile);
/** Below the range from which systems give ports to outgoing connections, so that ours stay free meanwhile. */
const FIRST_PORT = 20_000;
const LAST_PORT = 31_999;

/** Thrown when a stored port is used by somebody else. */
export class PortTakenError extends Error {
  override name = 'PortTakenError';
}

/** True when nobody listens on this port of the loopback address. */
export function portIsFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** True when somebody takes connections on this port of the loopback address. */
export function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host: '127.0.0.1' });
    socket.once('error', () => resolve(false));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}

/** Free ports, each once. */
export async function chooseFreePorts(count: number): Promise<number[]> {
  const chosen = new Set<number>();
  for (let attempt = 0; chosen.size < count; attempt += 1) {
    if (attempt > 1000) throw new Error(`no free port between ${FIRST_PORT} and ${LAST_PORT}`);
    const port = randomInt(FIRST_PORT, LAST_PORT + 1);
    if (!chosen.has(port) && (await portIsFree(port))) chosen.add(port);
  }
  return [...chosen];
}

/** Throws PortTakenError, naming port and owner, unless the port is free within `waitMs`. */
export async function requireFreePort(input: {
  port: number;
  purpose: string;
  waitMs: number;
}): Promise<void> {
  const deadline = Date.now() + input.waitMs;
  while (!(await portIsFree(input.port))) {
    if (Date.now() > deadline) {
      const owner = await portOwner(input.port);
      throw new PortTakenError(
        `port ${input.port} (${input.purpose}) is taken by ${owner ?? 'a process of another user'}: ` +
          'end that process, or choose other ports by deleting ports.json of the data folder',
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** "pid 123 (command)" of the process that listens on a port; null when it cannot be seen. */
export async function portOwner(port: number): Promise<string | null> {
  const pid = process.platform === 'linux' ? await linuxListener(port) : await lsofListener(port);
  if (pid === null) return null;
  const command = await commandOf(pid);
  return `pid ${pid}${command === null ? '' : ` (${command.slice(0, 120)})`}`;
}

async function linuxListener(port: number): Promise<number | null> {
  const inodes = new Set<string>();
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    const text = await readFile(table, 'utf8').catch(() => '');
    for (const line of text.split('\n').slice(1)) {
      const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
      const localPort = Number.parseInt(local?.split(':')[1] ?? '', 16);
      // 0A is LISTEN.
      if (localPort === port && state === '0A' && inode !== undefined) inodes.add(`socket:[${inode}]`);
    }
  }
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    for (const fd of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
      const target = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => '');
      if (inodes.has(target)) return Number(pid);
    }
  }
  return null;
}

async function lsofListener(port: number): Promise<number | null> {
  const args = ['-nP', `-iTCP:${port}`, '-sTCP:LISTEN', '-t'];
  const { stdout } = await run('lsof', args).catch(() => ({ stdout: '' }));
  const pid = Number.parseInt(stdout, 10);
  return Number.isNaN(pid) ? null : pid;
}
