import type { Context } from 'hono';
import type { ApiDeps } from '../api/deps.ts';
import type { ProblemDetails, ProblemStatus } from '../api/problems.ts';
import { assetPaths } from './assets.ts';
import { renderPage } from './components/layout.tsx';
import type { Chrome, PageEnv } from './deps.ts';
import { chromeOf } from './login.ts';
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
  const known: Chrome | undefined = c.get('chrome');
  const parts = status === 503 ? await lookAround(deps) : [];
  const session: PageEnv['Variables']['session'] | undefined = c.get('session');
  const chrome = known ?? chromeOf(c, session === undefined ? {} : { session });
  // What was sent is not sent again.
  const again = c.req.method === 'GET' ? chrome.here : null;
  const page = await renderPage({
    title: details.title,
    chrome,
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
