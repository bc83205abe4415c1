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
  readonly #known = new Map<string, { row: ApiTokenRow | null; untilMs: number }>();

  constructor(find: ApiDeps['findToken'], maxAgeMs: number) {
    this.#find = find;
    this.#maxAgeMs = maxAgeMs;
  }

  /** Who a token belongs to; null if it is none of ours, or revoked. */
  async callerOf(text: string): Promise<Caller | null> {
    const given = readApiToken(text);
    if (given === null) return null;
    const row = await this.#rowOf(given.tokenId);
    // An unknown id costs the same comparison as a wrong secret.
    const isSame = sameHash(given.secretHash, row?.secretHash ?? NOBODY);
    if (row === null || !isSame || row.revokedAt !== null) return null;
    return { tokenId: row.tokenId, name: row.name, role: row.role };
  }

  async #rowOf(tokenId: string): Promise<ApiTokenRow | null> {
    const known = this.#known.get(tokenId);
    if (known !== undefined && known.untilMs > Date.now()) return known.row;
    const row = await this.#find(tokenId);
    if (this.#known.size >= TOKENS_CACHED) this.#known.clear();
    this.#known.set(tokenId, { row, untilMs: Date.now() + this.#maxAgeMs });
    return row;
  }
}

/** Lets through who has a token; the rest is answered 401 with how to ask, so often as `attempts` allows. */
export function requireToken(tokens: TokenReader, attempts: MiddlewareHandler<ApiEnv>) {
  return createMiddleware<ApiEnv>(async (c, next) => {
    const [scheme = '', text = ''] = (c.req.header('authorization') ?? '').split(' ');
    const caller = scheme.toLowerCase() === 'bearer' ? await tokens.callerOf(text) : null;
    if (caller === null) {
      await attempts(c, () => Promise.resolve());
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
