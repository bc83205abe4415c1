import { setTimeout as sleep } from 'node:timers/promises';
import {
  Client,
  Connection,
  defaultGrpcRetryOptions,
  makeGrpcRetryInterceptor,
  type WorkflowClientInterceptor,
} from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';

/** A timer that is due at the same moment comes first. */
const TIMER_SLACK_MS = 10;

export type ClientTarget = {
  /** host:port; absent: from the standard Temporal environment (TEMPORAL_ADDRESS, profile, TLS, API key). */
  address?: string;
  namespace?: string;
  /** Our own server on loopback: a person's profile, with its TLS and API key, is not for it. */
  embedded?: boolean;
  /** What stands around calls about workflows. */
  interceptors?: WorkflowClientInterceptor[];
};

export type TemporalClient = { client: Client; connection: Connection; close: () => Promise<void> };

/**
 * A client for the CLI, the API and activities. Explicit values win over the standard environment
 * configuration, which brings TLS and API keys. Lazy: the first call fails when the server is down.
 */
export function connectClient(target: ClientTarget = {}): TemporalClient {
  const { connectionOptions, namespace } = target.embedded
    ? { connectionOptions: {}, namespace: undefined }
    : loadClientConnectConfig();
  const retries = endingRetries();
  const connection = Connection.lazy({
    ...connectionOptions,
    interceptors: [retries.interceptor],
    ...(target.address === undefined ? {} : { address: target.address }),
  });
  const client = new Client({
    connection,
    namespace: target.namespace ?? namespace ?? 'default',
    interceptors: { workflow: target.interceptors ?? [] },
  });
  const close = async (): Promise<void> => {
    await retries.end();
    await connection.close();
  };
  return { client, connection, close };
}

/** The SDK's retries, which end with the connection: one that is due later would throw where nobody catches it. */
function endingRetries() {
  const usual = defaultGrpcRetryOptions();
  let ended = false;
  let lastDueMs = 0;
  const interceptor = makeGrpcRetryInterceptor({
    retryableDecider: (attempt, status) => !ended && usual.retryableDecider(attempt, status),
    delayFunction: (attempt, status) => {
      const delayMs = usual.delayFunction(attempt, status);
      lastDueMs = Math.max(lastDueMs, Date.now() + delayMs);
      return delayMs;
    },
  });
  const end = async (): Promise<void> => {
    ended = true;
    const leftMs = lastDueMs - Date.now();
    if (leftMs > 0) await sleep(leftMs + TIMER_SLACK_MS);
  };
  return { interceptor, end };
}
