// One set-up at a time: two commands started together would install into the same folders.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cacheFolder, projectRoot } from './paths.mjs';
import { hashOf } from './stamp.mjs';

function holderOf(path) {
  try {
    const pid = Number(readFileSync(path, 'utf8'));
    if (pid > 0) process.kill(pid, 0);
    return pid;
  } catch (error) {
    return error.code === 'EPERM' ? -1 : null;
  }
}

/** Runs `work` while holding the set-up lock of this project; waits for another set-up to end first. */
export async function withSetupLock(work) {
  const path = join(cacheFolder(), `setup-${hashOf(projectRoot).slice(0, 16)}.lock`);
  mkdirSync(dirname(path), { recursive: true });
  let told = false;
  for (;;) {
    try {
      writeFileSync(path, String(process.pid), { flag: 'wx' });
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const holder = holderOf(path);
    if (holder === null) {
      rmSync(path, { force: true });
      continue;
    }
    if (!told)
      process.stderr.write(`another set-up of this folder is running (pid ${holder}), waiting for it\n`);
    told = true;
    await sleep(500);
  }
  const release = () => rmSync(path, { force: true });
  process.once('exit', release);
  try {
    return await work();
  } finally {
    process.removeListener('exit', release);
    release();
  }
}
