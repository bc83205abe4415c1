import type { ApiRole } from '../../contracts/api-tokens.ts';
import type { Queryable, Sql } from '../client.ts';
import { insertAudit } from './requests.ts';

export type ApiTokenRow = {
  tokenId: string;
  name: string;
  role: ApiRole;
  secretHash: string;
  createdBy: string;
  recordedAt: string;
  revokedAt: string | null;
  revokedBy: string | null;
};

/** Stores a token with an audit row that does not name its secret. */
export async function insertApiToken(
  sql: Sql,
  token: { tokenId: string; name: string; role: ApiRole; secretHash: string; createdBy: string },
): Promise<void> {
  const { tokenId, name, role, secretHash, createdBy } = token;
  await sql.begin(async (tx) => {
    await tx`
      insert into ops.api_tokens (token_id, name, role, secret_hash, created_by)
      values (${tokenId}, ${name}, ${role}, ${secretHash}, ${createdBy})`;
    await insertAudit(tx, {
      actor: createdBy,
      action: 'token.create',
      subject: tokenId,
      details: { name, role },
    });
  });
}

/** A token by its id, revoked or not; null if there is none. */
export async function findApiToken(sql: Queryable, tokenId: string): Promise<ApiTokenRow | null> {
  const [row] = await listApiTokens(sql, { tokenId });
  return row ?? null;
}

/** Tokens, oldest first, revoked ones too. */
export async function listApiTokens(
  sql: Queryable,
  filter: { tokenId?: string } = {},
): Promise<ApiTokenRow[]> {
  return await sql<ApiTokenRow[]>`
    select t.token_id, t.name, t.role, t.secret_hash, t.created_by, t.recorded_at,
      r.recorded_at as revoked_at, r.revoked_by
    from ops.api_tokens t left join ops.api_token_revocations r using (token_id)
    where ${filter.tokenId === undefined ? sql`true` : sql`t.token_id = ${filter.tokenId}`}
    order by t.recorded_at, t.token_id`;
}

/** Ends a token, with an audit row. False: it was revoked before. The token must exist. */
export async function revokeApiToken(
  sql: Sql,
  input: { tokenId: string; by: string; why: string },
): Promise<boolean> {
  const { tokenId, by, why } = input;
  return await sql.begin(async (tx) => {
    const inserted = await tx`
      insert into ops.api_token_revocations (token_id, revoked_by, why) values (${tokenId}, ${by}, ${why})
      on conflict do nothing returning 1`;
    if (inserted.length > 0)
      await insertAudit(tx, { actor: by, action: 'token.revoke', subject: tokenId, why });
    return inserted.length > 0;
  });
}
