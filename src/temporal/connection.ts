import { Client, Connection, type WorkflowClientInterceptor } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';

export type ClientTarget = {
  /** host:port; absent: from the standard Temporal environment (TEMPORAL_ADDRESS, profile, TLS, API key). */
  address?: string;
  namespace?: string;
  /** Our own server on loopback: a person's profile, with its TLS and API key, is not for it. */
  embedded?: boolean;
  /** What stands around calls about workflows. */
  interceptors?: WorkflowClientInterceptor[];
};

export type TemporalClient = { client: Client; connection: Connection; close(): Promise<void> };

/**
 * A client for the CLI, the API and activities. Explicit values win over the standard environment
 * configuration, which brings TLS and API keys. Lazy: the first call fails when the server is down.
 */
export function connectClient(target: ClientTarget = {}): TemporalClient {
  const { connectionOptions, namespace } = target.embedded
    ? { connectionOptions: {}, namespace: undefined }
    : loadClientConnectConfig();
  const connection = Connection.lazy({
    ...connectionOptions,
    ...(target.address === undefined ? {} : { address: target.address }),
  });
  const client = new Client({
    connection,
    namespace: target.namespace ?? namespace ?? 'default',
    interceptors: { workflow: target.interceptors ?? [] },
  });
  return { client, connection, close: () => connection.close() };
}
