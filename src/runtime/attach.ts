import { pathToFileURL } from 'node:url';
import { resolveAddresses } from './addresses.ts';
import { readChildren } from './children-file.ts';
import { dataFolderAt, ensurePorts, resolveDataDir } from './data-folder.ts';
import {
  type Runtime,
  type RuntimeOptions,
  type RuntimeState,
  readRuntimeState,
  startRuntime,
} from './embedded.ts';
import { readEnv } from './env.ts';
import { FolderLockedError, lockOwner, ownerIdentity } from './folder-lock.ts';
import { endProcess, isRunning } from './process-identity.ts';
import { requireSameAddresses } from './same-addresses.ts';
import { ensureSecrets } from './secrets.ts';

/** An instance that starts needs this long at most (crash recovery included) before others may attach. */
const START_LIMIT_MS = 180_000;
const POLL_MS = 100;

/** Starts an instance, or attaches to the one that runs on this folder already. */
export async function openRuntime(options: RuntimeOptions): Promise<Runtime> {
  for (;;) {
    const running = await attachRuntime(options.dataDir);
    if (running !== null) return running;
    try {
      return await startRuntime(options);
    } catch (error) {
      // Another start was faster: attach to that.
      if (!(error instanceof FolderLockedError)) throw error;
    }
  }
}

/**
 * The running instance of a folder as seen from outside, or null when none runs. Waits for one that starts. Throws
 * OtherAddressesError when the environment here leads to other servers than its own.
 */
export async function attachRuntime(dataDir: string | undefined): Promise<Runtime | null> {
  const folder = dataFolderAt(resolveDataDir(dataDir));
  const state = await waitForState(folder.root);
  if (state === null) return null;
  const [ports, secrets] = [await ensurePorts(folder), await ensureSecrets(folder.secrets)];
  const addresses = resolveAddresses({ env: readEnv(), folder, ports, secrets });
  requireSameAddresses({ root: folder.root, state, here: addresses });
  const owner = await lockOwner(folder.root);
  const detached = new AbortController();
  const failed = new Promise<never>((_resolve, reject) => {
    const timer = setInterval(() => {
      if (detached.signal.aborted) clearInterval(timer);
      else if (owner !== null) {
        void isRunning(ownerIdentity(owner)).then((running) => {
          if (!running) reject(new Error(`the instance (pid ${owner.pid}) ended`));
        });
      }
    }, 1000);
    timer.unref();
  });
  failed.catch(() => undefined);
  return {
    ...addresses,
    temporal: state.temporal,
    namespace: state.namespace,
    temporalUi: state.temporalUi,
    artifactUrl: state.artifactUrl,
    embedded: {
      ...addresses.embedded,
      artifacts: state.artifactUrl === pathToFileURL(folder.artifacts).href,
    },
    ports,
    api: state.api ?? null,
    dataDir: folder.root,
    logDir: folder.logs,
    owned: false,
    children: () => readChildren(folder.children),
    limitLogs: () => undefined,
    writeLog: () => undefined,
    failed,
    stop: () => {
      detached.abort();
      return Promise.resolve();
    },
  };
}

async function waitForState(root: string): Promise<RuntimeState | null> {
  const folder = dataFolderAt(root);
  const deadline = Date.now() + START_LIMIT_MS;
  for (;;) {
    const owner = await lockOwner(root);
    if (owner === null) return null;
    const state = await readRuntimeState(folder);
    if (state !== null && state.pid === owner.pid) return state;
    if (Date.now() > deadline) {
      throw new Error(
        `${root} is in use by pid ${owner.pid} (${owner.command}), which has not finished its start`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Stops the running instance of a folder from outside. Returns the pid it had, or null when none ran. */
export async function stopRunning(dataDir: string | undefined): Promise<number | null> {
  const owner = await lockOwner(resolveDataDir(dataDir));
  if (owner === null) return null;
  await endProcess({ identity: ownerIdentity(owner), signal: 'SIGTERM', graceMs: 60_000 });
  return owner.pid;
}
