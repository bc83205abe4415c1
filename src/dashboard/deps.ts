import type { Context, MiddlewareHandler } from 'hono';
import type { TokenReader } from '../api/auth.ts';
import type { ApiEnv, RouteDeps } from '../api/deps.ts';
import type { ApiDocument } from '../api/openapi.ts';
import type { Session, SessionKeeper } from '../api/sessions.ts';
import type { Flash } from './flash.ts';
import type { LiveBoard } from './live.tsx';

/** What the pages share with the API: its connections, tokens, logins and limits. */
export type DashboardDeps = RouteDeps & {
  tokens: TokenReader;
  sessions: SessionKeeper;
  /** Limit of one address for wrong tokens, and of one token for requests. */
  attempts: MiddlewareHandler;
  perToken: MiddlewareHandler;
  /** The OpenAPI document, which is there once all routes are. */
  document: () => ApiDocument;
};

export type PageEnv = {
  Variables: ApiEnv['Variables'] & { session: Session; chrome: Chrome };
};

export type PageContext = Context<PageEnv>;

/** What every page is drawn with. */
export type Chrome = {
  user: Session['caller'] | null;
  csrfToken: string;
  mayAct: boolean;
  theme: Theme;
  flash: Flash | null;
  /** Path with query that was asked for, to come back to. */
  here: string;
  /** Tasks that wait for a decision. */
  waiting: number;
  timezone: string;
  nowMs: number;
};

export const THEMES = ['auto', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];

/** The parts of a page's surroundings that its routes need. */
export type PageDeps = DashboardDeps & { board: LiveBoard };

/** What stands before every page: the login, then the limit of its token. */
export type PageRoute = readonly [MiddlewareHandler<PageEnv>, MiddlewareHandler<PageEnv>];
