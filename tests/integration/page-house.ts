import { beforeEach } from 'vitest';
import { createApi } from '../../src/api/app.ts';
import { API_TIMES, type ApiDeps } from '../../src/api/deps.ts';
import { type ApiRole, newApiToken } from '../../src/contracts/api-tokens.ts';
import { findApiToken, insertApiToken } from '../../src/db/queries/api-tokens.ts';
import { useQueueHouse } from './queue-house.ts';

export const ORIGIN = 'http://localhost';
export const BROWSER = { accept: 'text/html,application/xhtml+xml' };

/** The cookie that an answer sets. */
export const cookieOf = (response: Response): string =>
  (response.headers.get('set-cookie') ?? '').split(';')[0] ?? '';

/** What a form of the page sends under this name, the first one that has it. */
export const valueOf = (html: string, name: string): string =>
  new RegExp(`name="${name}" value="([^"]+)"`).exec(html)?.[1] ?? '';

/** What an act leaves for the next page. */
export function toldBy(response: Response): unknown {
  const told = /nightshift_told_web=([\w-]+)/.exec(response.headers.get('set-cookie') ?? '')?.[1] ?? '';
  return JSON.parse(Buffer.from(told, 'base64url').toString());
}

/** The pages in this process, anew for each test on rows of its own: somebody logs in, reads, and sends forms. */
export function usePages() {
  const desk = useQueueHouse();
  let deps: ApiDeps;
  let api: ReturnType<typeof createApi>;
  let stopping: AbortController;
  beforeEach(() => {
    const { house, rig } = desk;
    stopping = new AbortController();
    deps = {
      sql: house.api.sql,
      findToken: (tokenId) => findApiToken(house.api.sql, tokenId),
      times: API_TIMES,
      pipelineSql: house.database.sql,
      client: rig.client,
      log: () => undefined,
      configPath: house.deps.configPath,
      limits: { tokenPerMinute: 1_000, anonymousPerMinute: 3 },
      stopping: stopping.signal,
    };
    api = createApi(deps);
  });
  const token = async (role: ApiRole): Promise<{ tokenId: string; text: string }> => {
    const { tokenId, secretHash, text } = newApiToken();
    await insertApiToken(desk.house.api.sql, { tokenId, name: role, role, secretHash, createdBy: 'Ann' });
    return { tokenId, text };
  };
  const logIn = async (text: string, next = '/'): Promise<Response> =>
    await api.request('/login', {
      method: 'POST',
      headers: { origin: ORIGIN, ...BROWSER },
      body: new URLSearchParams({ token: text, next }),
    });
  return {
    desk,
    get api() {
      return api;
    },
    /** Ends what the process streams. */
    stop: (): void => stopping.abort(),
    /** The API anew with some parts changed. */
    restart: (change: Partial<ApiDeps> = {}): void => {
      api = createApi({ ...deps, ...change });
    },
    token,
    logIn,
    /** The cookie of somebody with this role. */
    cookie: async (role: ApiRole): Promise<string> => cookieOf(await logIn((await token(role)).text)),
    page: async (cookie: string, path: string): Promise<string> =>
      await (await api.request(path, { headers: { cookie, ...BROWSER } })).text(),
    act: async (cookie: string, path: string, fields: Record<string, string>): Promise<Response> =>
      await api.request(path, {
        method: 'POST',
        headers: { origin: ORIGIN, cookie, ...BROWSER },
        body: new URLSearchParams(fields),
      }),
  };
}
