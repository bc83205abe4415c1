import { afterEach, beforeEach } from 'vitest';

import { adoptFileAtStart } from '../../src/activities/planning/config-source.ts';
import { createApi } from '../../src/api/app.ts';
import type { ApiDeps } from '../../src/api/deps.ts';
import { type ApiRole, newApiToken } from '../../src/contracts/api-tokens.ts';
import { insertApiToken } from '../../src/db/queries/api-tokens.ts';
import { useQueueHouse } from './queue-house.ts';

export type LogLine = { level: string; message: string; fields: Record<string, unknown> };

/** The API on rows of its own for each test, with a worker behind it whose tasks are set with `prepare`. */
export function useApi() {
  const desk = useQueueHouse();
  let deps: ApiDeps;
  let api: ReturnType<typeof createApi>;
  const lines: LogLine[] = [];
  beforeEach(async () => {
    const { house, rig } = desk;
    lines.length = 0;
    deps = {
      sql: house.api.sql,
      pipelineSql: house.database.sql,
      client: rig.client,
      log: (level, message, fields = {}) => void lines.push({ level, message, fields }),
      configPath: house.deps.configPath,
      limits: { tokenPerMinute: 1_000, anonymousPerMinute: 100 },
    };
    api = createApi(deps);
    await adoptFileAtStart(house.database.sql, { path: house.deps.configPath, named: true });
  });
  afterEach(async () => {
    for (const id of ['nightly', 'weekly-maintenance'])
      await desk.rig.client.schedule
        .getHandle(id)
        .delete()
        .catch(() => undefined);
  });
  return {
    desk,
    lines,
    /** Another API over the same rows, with a part of its surroundings changed. */
    restart: (change: Partial<ApiDeps>): void => {
      api = createApi({ ...deps, ...change });
    },
    /** A token of a role; its name is the role's. */
    token: async (role: ApiRole): Promise<{ tokenId: string; text: string }> => {
      const { tokenId, secretHash, text } = newApiToken();
      const { sql } = desk.house.api;
      await insertApiToken(sql, { tokenId, name: `the ${role}`, role, secretHash, createdBy: 'Ann' });
      return { tokenId, text };
    },
    ask: async (
      method: string,
      path: string,
      init: { token?: string; headers?: object; body?: unknown } = {},
    ) => {
      const { token, headers, body } = init;
      const response = await api.request(path, {
        method,
        headers: {
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      return { status: response.status, headers: response.headers, body: JSON.parse(text) as unknown };
    },
  };
}
