import type { ApiRole } from '../../contracts/api-tokens.ts';
import type { Queryable } from '../client.ts';

/** A browser's login with the token it was made with. */
export type ApiSessionRow = {
  tokenId: string;
  name: string;
  role: ApiRole;
  /** Logged in, not logged out, not expired, and the token is not revoked. */
  valid: boolean;
  secondsLeft: number;
};

/** Stores a login; `sessionHash` is the SHA-256 of what the cookie holds. */
export async function insertApiSession(
  sql: Queryable,
  session: { sessionHash: string; tokenId: string; seconds: number },
): Promise<void> {
  const { sessionHash, tokenId, seconds } = session;
  await sql`
    insert into ops.api_sessions (session_hash, token_id, expires_at)
    values (${sessionHash}, ${tokenId}, now() + ${seconds}::float8 * interval '1 second')`;
}

/** A login by the hash of its cookie, valid or not; null if there is none. */
export async function findApiSession(sql: Queryable, sessionHash: string): Promise<ApiSessionRow | null> {
  const [row] = await sql<ApiSessionRow[]>`
    select t.token_id, t.name, t.role,
      s.ended_at is null and s.expires_at > now() and r.token_id is null as valid,
      extract(epoch from s.expires_at - now())::float8 as seconds_left
    from ops.api_sessions s join ops.api_tokens t using (token_id)
    left join ops.api_token_revocations r using (token_id)
    where s.session_hash = ${sessionHash}`;
  return row ?? null;
}

/** Lets a login that still holds last `seconds` from now. */
export async function extendApiSession(
  sql: Queryable,
  session: { sessionHash: string; seconds: number },
): Promise<void> {
  await sql`
    update ops.api_sessions set expires_at = now() + ${session.seconds}::float8 * interval '1 second'
    where session_hash = ${session.sessionHash} and ended_at is null and expires_at > now()`;
}

/** Logs out; a login that has ended stays as it ended. */
export async function endApiSession(sql: Queryable, sessionHash: string): Promise<void> {
  await sql`update ops.api_sessions set ended_at = now() where session_hash = ${sessionHash} and ended_at is null`;
}
