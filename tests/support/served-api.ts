import { serve } from '@hono/node-server';
import { createApi } from '../../src/api/app.ts';
import type { ApiDeps } from '../../src/api/deps.ts';

export type ServedApi = { url: string; close: () => Promise<void> };

/** The API with its pages on a port of its own. `close` ends streams to browsers too. */
export async function serveApi(deps: Omit<ApiDeps, 'stopping'>): Promise<ServedApi> {
  const stopping = new AbortController();
  const api = createApi({ ...deps, stopping: stopping.signal });
  const { server, port } = await new Promise<{ server: ReturnType<typeof serve>; port: number }>(
    (resolve) => {
      const made = serve({ fetch: api.fetch, hostname: '127.0.0.1', port: 0 }, (address) =>
        resolve({ server: made, port: address.port }),
      );
    },
  );
  return {
    url: `http://127.0.0.1:${port}`,
    close: async () => {
      stopping.abort();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    },
  };
}
