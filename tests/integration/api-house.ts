import { afterEach, beforeEach } from 'vitest';

import { adoptFileAtStart } from '../../src/activities/planning/config-source.ts';
import { createApi } from '../../src/api/app.ts';
import { API_TIMES, type ApiDeps } from '../../src/api/deps.ts';
import { type ApiRole, newApiToken } from '../../src/contracts/api-tokens.ts';
import { findApiToken, insertApiToken } from '../../src/db/queries/api-tokens.ts';
import { askerOf, keepLines, tokenName } from '../support/api-asker.ts';
import { useQueueHouse } from './queue-house.ts';

/** What changes is seen at once. */
const TIMES = { ...API_TIMES, tokenMs: 0, freshMs: 0 };

/** The API on rows of its own for each test, with a worker behind it whose tasks are set with `prepare`. */
export function useApi() {
  const desk = useQueueHouse();
  let deps: Omit<ApiDeps, 'findToken'>;
  let api: ReturnType<typeof createApi>;
  const { lines, log } = keepLines();
  const open = (change: Partial<ApiDeps>): typeof api => {
    const { sql } = { ...deps, ...change };
    api = createApi({ ...deps, findToken: (tokenId) => findApiToken(sql, tokenId), ...change });
    return api;
  };
  beforeEach(async () => {
    const { house, rig } = desk;
    lines.length = 0;
    deps = {
      sql: house.api.sql,
      pipelineSql: house.database.sql,
      client: rig.client,
      log,
      configPath: house.deps.configPath,
      limits: { tokenPerMinute: 1_000, anonymousPerMinute: 100 },
      times: TIMES,
    };
    open({});
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
    restart: open,
    /** A token of a role; its name is the role's. */
    token: async (role: ApiRole): Promise<{ tokenId: string; text: string }> => {
      const { tokenId, secretHash, text } = newApiToken();
      const { sql } = desk.house.api;
      await insertApiToken(sql, { tokenId, name: tokenName(role), role, secretHash, createdBy: 'Ann' });
      return { tokenId, text };
    },
    ask: askerOf(() => api),
  };
}
