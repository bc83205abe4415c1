import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Context, MiddlewareHandler } from 'hono';
import { deleteCookie, getCookie, setCookie } from 'hono/cookie';
import { createMiddleware } from 'hono/factory';
import type { Sql } from '../db/client.ts';
import {
  type ApiSessionRow,
  endApiSession,
  extendApiSession,
  findApiSession,
  insertApiSession,
} from '../db/queries/api-sessions.ts';
import type { ApiEnv, Caller } from './deps.ts';
import { Problem } from './problems.ts';

/** A login lasts this long after the last page that was asked for. */
export const SESSION_SECONDS = 12 * 3600;
/** It is not written anew with each request. */
const RENEW_SECONDS = 300;
/** How long an ended login or a revoked token may still work. */
const CACHE_MS = 2_000;
const CACHED = 1_000;
const SAFE_METHODS = ['GET', 'HEAD', 'OPTIONS'];
const SECRET_FORM = /^[A-Za-z0-9_-]{43}$/;

/** A browser that is logged in. `csrfToken` proves that a form or a script of ours sends the act. */
export type Session = { caller: Caller; csrfToken: string; secret: string };

/** Logins of browsers: the cookie has 256 random bits, the row their SHA-256. */
export class SessionKeeper {
  readonly #sql: Sql;
  readonly #known = new Map<string, { row: ApiSessionRow; untilMs: number }>();

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  /** Logs in whoever has shown a token; returns what the cookie holds. */
  async begin(caller: Caller): Promise<string> {
    const secret = randomBytes(32).toString('base64url');
    const { tokenId } = caller;
    const sessionHash = hashOf(secret);
    await insertApiSession(this.#sql, { sessionHash, tokenId, seconds: SESSION_SECONDS });
    this.#keep(sessionHash, { ...caller, valid: true, secondsLeft: SESSION_SECONDS }, 0);
    return secret;
  }

  /**
   * The login of a cookie, which it renews; null if it has ended, or its token was revoked. `countGuess` may throw: it
   * is asked about each cookie not seen before when it has not been looked up.
   */
  async find(
    secret: string,
    countGuess: () => Promise<unknown>,
  ): Promise<(Session & { renewed: boolean }) | null> {
    const sessionHash = hashOf(secret);
    if (!this.#known.has(sessionHash)) await countGuess();
    const row = await this.#validRow(secret);
    if (row === null) return null;
    const renewed = row.secondsLeft < SESSION_SECONDS - RENEW_SECONDS;
    if (renewed) {
      await extendApiSession(this.#sql, { sessionHash, seconds: SESSION_SECONDS });
      this.#keep(sessionHash, row, 0);
    }
    const { tokenId, name, role } = row;
    return { caller: { tokenId, name, role }, csrfToken: csrfTokenOf(secret), secret, renewed };
  }

  /** Whether a login still holds; a page that only stays open does not renew it. */
  async holds(secret: string): Promise<boolean> {
    return (await this.#validRow(secret)) !== null;
  }

  async end(secret: string): Promise<void> {
    const sessionHash = hashOf(secret);
    await endApiSession(this.#sql, sessionHash);
    this.#known.delete(sessionHash);
  }

  async #validRow(secret: string): Promise<ApiSessionRow | null> {
    const row = SECRET_FORM.test(secret) ? await this.#read(hashOf(secret)) : null;
    return row?.valid === true ? row : null;
  }

  async #read(sessionHash: string): Promise<ApiSessionRow | null> {
    const known = this.#known.get(sessionHash);
    if (known !== undefined && known.untilMs > Date.now()) return known.row;
    const row = await findApiSession(this.#sql, sessionHash);
    // Guesses leave nothing: they would push out those who are logged in.
    if (row === null) this.#known.delete(sessionHash);
    else this.#keep(sessionHash, row);
    return row;
  }

  /** Remembers a login; with `freshMs` 0 only that it is one, so that it is read anew and is no guess. */
  #keep(sessionHash: string, row: ApiSessionRow, freshMs = CACHE_MS): void {
    this.#known.delete(sessionHash);
    const [oldest] = this.#known.keys();
    if (this.#known.size >= CACHED && oldest !== undefined) this.#known.delete(oldest);
    this.#known.set(sessionHash, { row, untilMs: Date.now() + freshMs });
  }
}

/** Cookies do not know ports: two instances on one machine would take each other's under one name. */
export function cookieName(c: Context, of: 'session' | 'told' | 'theme'): string {
  return `nightshift_${of}_${new URL(c.req.url).port || 'web'}`;
}

/**
 * The login of a request, if it has one; renews its cookie where its row was. A cookie not seen before counts as a guess
 * before Postgres is asked about it.
 */
export async function sessionOf(
  c: Context,
  { sessions, attempts }: { sessions: SessionKeeper; attempts: MiddlewareHandler },
): Promise<Session | null> {
  const secret = getCookie(c, cookieName(c, 'session'));
  if (secret === undefined) return null;
  const session = await sessions.find(secret, () => attempts(c, () => Promise.resolve()));
  if (session?.renewed === true) setSessionCookie(c, session.secret);
  return session;
}

export function setSessionCookie(c: Context, secret: string): void {
  setCookie(c, cookieName(c, 'session'), secret, { ...cookieOptions(c), maxAge: SESSION_SECONDS });
}

export function clearSessionCookie(c: Context): void {
  deleteCookie(c, cookieName(c, 'session'), { path: '/' });
}

/** No script reads it, no other site sends it; over TLS (also that of a proxy) it never leaves without. */
export function cookieOptions(c: Context): {
  path: string;
  httpOnly: boolean;
  sameSite: 'Strict';
  secure: boolean;
} {
  const proto = c.req.header('x-forwarded-proto') ?? new URL(c.req.url).protocol;
  return { path: '/', httpOnly: true, sameSite: 'Strict', secure: proto.startsWith('https') };
}

/** Whether a request shows its login's own token. */
export function provesCsrf(session: Session, given: unknown): boolean {
  if (typeof given !== 'string') return false;
  const [left, right] = [Buffer.from(given), Buffer.from(session.csrfToken)];
  return left.length === right.length && timingSafeEqual(left, right);
}

/**
 * Lets through who is logged in, and leaves everybody else to `requireToken`. A request that changes something shows
 * the login's token in `X-CSRF-Token`: a page of another port of this machine is the same site for a cookie.
 */
export function requireLoginOr(
  logins: { sessions: SessionKeeper; attempts: MiddlewareHandler },
  requireToken: MiddlewareHandler<ApiEnv>,
) {
  return createMiddleware<ApiEnv>(async (c, next) => {
    const session = c.req.header('authorization') === undefined ? await sessionOf(c, logins) : null;
    if (session === null) return await requireToken(c, next);
    if (!SAFE_METHODS.includes(c.req.method) && !provesCsrf(session, c.req.header('x-csrf-token')))
      throw new Problem('forbidden', 'with the cookie of a login this needs its X-CSRF-Token');
    c.set('caller', session.caller);
    return await next();
  });
}

/** One per login: whoever has only seen it knows nothing of the cookie. */
function csrfTokenOf(secret: string): string {
  return createHmac('sha256', secret).update('nightshift csrf').digest('base64url');
}

function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}
