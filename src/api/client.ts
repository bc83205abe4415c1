import { hc } from 'hono/client';
import type { AppType } from './app.ts';

/**
 * A typed client of the API at `baseUrl` (`http://127.0.0.1:PORT`), which asks as whoever `token` belongs to. It throws
 * only where nothing answers: what is not 2xx has a problem as its JSON. `fetch`: default the platform's.
 */
export function createClient(baseUrl: string, token: string, options: { fetch?: typeof fetch } = {}) {
  return hc<AppType>(baseUrl, { headers: { authorization: `Bearer ${token}` }, ...options });
}
