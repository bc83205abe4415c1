import type { Context } from 'hono';
import type { ApiDeps } from '../api/deps.ts';
import type { ProblemDetails, ProblemStatus } from '../api/problems.ts';
import { assetPaths } from './assets.ts';
import { renderPage } from './components/layout.tsx';
import type { PageEnv } from './deps.ts';
import { chromeOf, ownPath } from './login.ts';
import { type Part, ProblemPage } from './pages/problem.tsx';

const CHECK_MS = 1_500;

/** Whether a browser asks for a page rather than a script for data. */
export function wantsPage(c: Context): boolean {
  const accept = c.req.header('accept') ?? '';
  return accept.includes('text/html') && !/^\/(api|scheduler)\//.test(c.req.path);
}

/** An error as a page; null where the pages cannot be drawn at all. */
export async function problemPage(
  deps: ApiDeps,
  c: Context,
  problem: { details: ProblemDetails; status: ProblemStatus; headers: Record<string, string> },
): Promise<Response | null> {
  const { details, status, headers } = problem;
  if (!(await canDraw())) return null;
  const known: PageEnv['Variables']['session'] | undefined = c.get('session');
  const parts = status === 503 ? await lookAround(deps) : [];
  const again = c.req.method === 'GET' ? ownPath(c.req.path) : '/';
  const page = await renderPage({
    title: details.title,
    chrome: chromeOf(c, known === undefined ? {} : { session: known }),
    body: <ProblemPage details={details} parts={parts} again={again} />,
  });
  return c.html(page, status, { ...headers, 'cache-control': 'no-store' });
}

async function canDraw(): Promise<boolean> {
  return await assetPaths().then(
    () => true,
    () => false,
  );
}

/** Which of the two servers answer. */
async function lookAround({ sql, client }: ApiDeps): Promise<Part[]> {
  const look = async (name: string, ask: () => Promise<unknown>): Promise<Part> => {
    const late = new Promise<never>((_resolve, reject) => {
      setTimeout(() => reject(new Error('late')), CHECK_MS).unref();
    });
    return await Promise.race([ask(), late]).then(
      () => ({ name, answers: true, detail: '' }),
      () => ({ name, answers: false, detail: `no answer within ${CHECK_MS / 1000} s` }),
    );
  };
  return await Promise.all([
    look('Postgres', () => sql`select 1`),
    look('Temporal', () =>
      client.withDeadline(Date.now() + CHECK_MS, () => client.workflowService.getSystemInfo({})),
    ),
  ]);
}
