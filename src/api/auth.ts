import type { MiddlewareHandler } from 'hono';
import { createMiddleware } from 'hono/factory';
import { type ApiRole, readApiToken, roleIncludes, sameHash } from '../contracts/api-tokens.ts';
import type { ApiTokenRow } from '../db/queries/api-tokens.ts';
import type { ApiDeps, ApiEnv, Caller } from './deps.ts';
import { Problem } from './problems.ts';

const TOKENS_CACHED = 1_000;
const NOBODY = '0'.repeat(64);

/** Knows whom tokens belong to; asks for the row of each at most every `maxAgeMs`. */
export class TokenReader {
  readonly #find: ApiDeps['findToken'];
  readonly #maxAgeMs: number;
  /** Rows that were found, the one asked for longest ago first; whoever guesses adds none. */
  readonly #known = new Map<string, { row: ApiTokenRow; untilMs: number }>();

  constructor(find: ApiDeps['findToken'], maxAgeMs: number) {
    this.#find = find;
    this.#maxAgeMs = maxAgeMs;
  }

  /**
   * Who a token belongs to; null if it is none of ours, or revoked. `countGuess` may throw: it is asked once about each
   * token that is not right, and about one not seen before already when it has not been looked up.
   */
  async callerOf(text: string, countGuess: () => Promise<unknown>): Promise<Caller | null> {
    const given = readApiToken(text);
    const isSeen = given !== null && this.#known.has(given.tokenId);
    if (!isSeen) await countGuess();
    if (given === null) return null;
    const row = await this.#rowOf(given.tokenId);
    // An unknown id costs the same comparison as a wrong secret.
    const isSame = sameHash(given.secretHash, row?.secretHash ?? NOBODY);
    if (row !== null && isSame && row.revokedAt === null)
      return { tokenId: row.tokenId, name: row.name, role: row.role };
    if (isSeen) await countGuess();
    return null;
  }

  async #rowOf(tokenId: string): Promise<ApiTokenRow | null> {
    const known = this.#known.get(tokenId);
    if (known !== undefined && known.untilMs > Date.now()) return known.row;
    const row = await this.#find(tokenId);
    if (row === null) return null;
    this.#known.delete(tokenId);
    const [oldest] = this.#known.keys();
    if (this.#known.size >= TOKENS_CACHED && oldest !== undefined) this.#known.delete(oldest);
    this.#known.set(tokenId, { row, untilMs: Date.now() + this.#maxAgeMs });
    return row;
  }
}

/** Lets through who has a token; the rest is answered 401 with how to ask, so often as `attempts` allows. */
export function requireToken(tokens: TokenReader, attempts: MiddlewareHandler<ApiEnv>) {
  return createMiddleware<ApiEnv>(async (c, next) => {
    const [scheme = '', text = ''] = (c.req.header('authorization') ?? '').split(' ');
    const token = scheme.toLowerCase() === 'bearer' ? text : '';
    const caller = await tokens.callerOf(token, () => attempts(c, () => Promise.resolve()));
    if (caller === null) {
      throw new Problem(
        'unauthorized',
        text === ''
          ? 'send `Authorization: Bearer TOKEN`; `nightshift token create` makes one'
          : 'this token is not known, or was revoked',
        { headers: { 'www-authenticate': 'Bearer realm="nightshift"' } },
      );
    }
    c.set('caller', caller);
    await next();
  });
}

/** Lets through tokens of a role or a higher one. */
export function requireRole(needed: ApiRole) {
  return createMiddleware<ApiEnv>(async (c, next) => {
    const { role, name } = c.get('caller');
    if (!roleIncludes(role, needed))
      throw new Problem('forbidden', `${name} is ${role}; this needs ${needed}`);
    await next();
  });
}
