import { createApi } from '../../src/api/app.ts';
import { API_TIMES, type ApiDeps } from '../../src/api/deps.ts';
import { type ApiRole, newApiToken } from '../../src/contracts/api-tokens.ts';
import { createDatabase } from '../../src/db/client.ts';
import type { ApiTokenRow } from '../../src/db/queries/api-tokens.ts';
import { connectClient, type TemporalClient } from '../../src/temporal/connection.ts';
import { askerOf, keepLines, tokenName } from './api-asker.ts';

/** Nobody listens on the discard port of loopback. */
export const NOWHERE = '127.0.0.1:9';

/** A client whose server never answers: what it still tries ends when it is closed. */
export function temporalAway(): TemporalClient {
  return connectClient({ address: NOWHERE, embedded: true });
}

/**
 * The API with Postgres and Temporal away and tokens in memory: for what it answers by itself. Whatever needs one of
 * them is answered 503.
 */
export function openApiAway(change: Partial<ApiDeps> = {}) {
  const tokens = new Map<string, ApiTokenRow>();
  const { lines, log } = keepLines();
  const database = createDatabase(`postgres://nobody@${NOWHERE}/none`, { max: 1 });
  const temporal = temporalAway();
  const app = createApi({
    sql: database.sql,
    pipelineSql: database.sql,
    client: temporal.client,
    findToken: async (tokenId) => tokens.get(tokenId) ?? null,
    log,
    configPath: '/nowhere/scheduler_config.json',
    limits: { tokenPerMinute: 1_000, anonymousPerMinute: 1_000 },
    times: { ...API_TIMES, callMs: 100 },
    ...change,
  });
  return {
    app,
    lines,
    ask: askerOf(() => app),
    token: (role: ApiRole): { tokenId: string; text: string } => {
      const { tokenId, secretHash, text } = newApiToken();
      const made = { createdBy: 'Ann', recordedAt: '2018-02-07T12:00:00.000Z' };
      const open = { revokedAt: null, revokedBy: null };
      tokens.set(tokenId, { tokenId, name: tokenName(role), role, secretHash, ...made, ...open });
      return { tokenId, text };
    },
    close: async (): Promise<void> => {
      await Promise.all([database.close(), temporal.close()]);
    },
  };
}
