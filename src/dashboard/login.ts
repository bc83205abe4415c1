import type { Context } from 'hono';
import { createMiddleware } from 'hono/factory';
import { getCookie } from 'hono/cookie';
import { csrf } from 'hono/csrf';
import { Problem } from '../api/problems.ts';
import { cookieName, provesCsrf, sessionOf } from '../api/sessions.ts';
import { type ApiRole, roleIncludes } from '../contracts/api-tokens.ts';
import { type Chrome, type PageContext, type PageDeps, type PageEnv, THEMES } from './deps.ts';
import { takeFlash } from './flash.ts';
import type { TonightReader } from './tonight.ts';

const NOT_READ = 'America/New_York';

/** A path of ours to go to after a form; anything else leads to the first page. */
export function ownPath(path: unknown): string {
  return typeof path === 'string' && /^\/(?![/\\])[\x21-\x7e]*$/.test(path) && path.length <= 500
    ? path
    : '/';
}

/** Lets through who is logged in; others are asked to log in and come back. */
export function requireLogin(deps: PageDeps, reader: Pick<TonightReader, 'settings' | 'waiting'>) {
  return createMiddleware<PageEnv>(async (c, next) => {
    const session = await sessionOf(c, deps);
    if (session === null) {
      const wantsPage = c.req.method === 'GET' && (c.req.header('accept') ?? '').includes('text/html');
      if (!wantsPage) throw new Problem('unauthorized', 'you are not logged in (any more)');
      const { pathname, search } = new URL(c.req.url);
      return c.redirect(`/login?next=${encodeURIComponent(ownPath(pathname + search))}`, 303);
    }
    c.set('session', session);
    c.set('caller', session.caller);
    const [{ timezone }, waiting] = await Promise.all([reader.settings(), reader.waiting()]);
    c.set('chrome', chromeOf(c, { session, timezone, waiting }));
    c.header('cache-control', 'no-store');
    return await next();
  });
}

/** What a page is drawn with, for somebody who is logged in or not. */
export function chromeOf(
  c: Context,
  known: { session?: PageEnv['Variables']['session']; timezone?: string; waiting?: number } = {},
): Chrome {
  const { session, timezone = NOT_READ, waiting = 0 } = known;
  const { pathname, search } = new URL(c.req.url);
  const theme = getCookie(c, cookieName(c, 'theme'));
  return {
    user: session?.caller ?? null,
    csrfToken: session?.csrfToken ?? '',
    mayAct: session !== undefined && roleIncludes(session.caller.role, 'operator'),
    theme: THEMES.find((one) => one === theme) ?? 'auto',
    // An act's answer is a redirect: what was left is for the page after it.
    flash: c.req.method === 'GET' ? takeFlash(c) : null,
    here: ownPath(pathname + search),
    waiting,
    timezone,
    nowMs: Date.now(),
  };
}

/** Refuses forms that another origin sends. */
export const requireOwnOrigin = createMiddleware<PageEnv>(async (c, next) => {
  try {
    await csrf()(c, () => Promise.resolve());
  } catch (error) {
    throw new Problem('forbidden', 'this form was sent from another page', { cause: error });
  }
  await next();
});

/** The fields of a form that carries its login's token. Throws a Problem for any other, and for a lower role. */
export async function formOf(c: PageContext, needed: ApiRole): Promise<Record<string, string>> {
  const session = c.get('session');
  const body = await c.req.parseBody();
  if (!provesCsrf(session, body['csrf']))
    throw new Problem('forbidden', 'this form is of another login; open the page again');
  const { role, name } = session.caller;
  if (!roleIncludes(role, needed)) throw new Problem('forbidden', `${name} is ${role}; this needs ${needed}`);
  const fields = Object.entries(body).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  );
  if (fields.some(([, text]) => text.includes('\0')))
    throw new Problem('invalid-input', 'a field holds a NUL character');
  return Object.fromEntries(fields);
}
