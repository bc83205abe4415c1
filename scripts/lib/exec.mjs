// Runs a command without showing its output, and reads the cause out of it when it fails.
import { existsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { spawnGuarded } from './guarded.mjs';
import { SetupError } from './steps.mjs';

const MAX_OUTPUT = 200_000;

/**
 * Runs to the end. Resolves `{ code, output }` with both streams; code is 127 when it cannot be started. It ends, with
 * all that it started, when `signal` aborts and when this process is gone.
 */
export function capture(command, args, { signal, ...options } = {}) {
  if (signal?.aborted) return Promise.resolve({ code: 130, output: 'stopped' });
  return new Promise((resolve) => {
    const { child, stop } = spawnGuarded(command, args, options);
    let output = '';
    const collect = (chunk) => (output = (output + chunk).slice(-MAX_OUTPUT));
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    signal?.addEventListener('abort', stop, { once: true });
    process.once('exit', stop);
    const finish = (code) => {
      signal?.removeEventListener('abort', stop);
      process.removeListener('exit', stop);
      resolve({ code, output });
    };
    child.once('error', (error) => {
      output += error.message;
      finish(127);
    });
    child.once('close', (code) => finish(code ?? 1));
  });
}

/** Runs to the end and throws a SetupError with the likely cause when the exit code is not 0. */
export async function mustRun(what, command, args, { advice = () => [], ...options } = {}) {
  const { code, output } = await capture(command, args, options);
  if (code === 0) return output;
  const tail = output
    .trim()
    .split('\n')
    .slice(-15)
    .map((line) => `| ${line}`);
  const causes = [...commonAdvice(output), ...advice(output)];
  throw new SetupError(`${what} failed (exit code ${code})`, [...tail, ...causes]);
}

function commonAdvice(output) {
  if (/ENOSPC|No space left|disk quota/i.test(output)) {
    return ['The disk is full: free some space (the set-up needs about 6 GB) and start again.'];
  }
  const network =
    /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|Could not resolve|name resolution|Network is unreachable|no such host|dial tcp|dns error|error sending request|Failed to establish|Max retries exceeded/i;
  if (network.test(output)) {
    return [
      'No network: this step needs its package registry once. Check connection and proxy settings, start again.',
    ];
  }
  if (/EACCES|Permission denied/i.test(output)) {
    return ['Not permitted: this folder or the cache belongs to somebody else (an earlier start as root?).'];
  }
  return [];
}

/** Full path of a program on the PATH, or null. */
export function which(name) {
  const suffixes = process.platform === 'win32' ? ['.exe', '.cmd', '.bat', ''] : [''];
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    for (const suffix of suffixes) {
      const path = join(folder, name + suffix);
      if (folder !== '' && existsSync(path)) return path;
    }
  }
  return null;
}

/** Throws when the disk of a folder (or of its nearest parent that exists) has less than `needGiB` free. */
export async function requireDisk(folder, needGiB) {
  let existing = folder;
  while (!existsSync(existing)) existing = dirname(existing);
  const { bavail, bsize } = await statfs(existing);
  const freeGiB = (bavail * bsize) / 1024 ** 3;
  if (freeGiB < needGiB) {
    throw new SetupError(`only ${freeGiB.toFixed(1)} GiB free on the disk of ${existing}`, [
      `This step needs ${needGiB} GiB. Free some space and start again.`,
    ]);
  }
}
