import { readFile, stat } from 'node:fs/promises';
import { z } from 'zod';
import type { Check, Finding } from './doctor.ts';
import { exists } from './files.ts';

/** The API itself answers within nine seconds, whatever is silent behind it. */
const LIMIT_MS = 10_000;

const readiness = z.object({
  checks: z.array(z.object({ part: z.string(), ok: z.boolean(), detail: z.string() })),
});

/** Who else may read the first administrator's token. */
export function checkAdminToken(path: string): Check {
  return {
    part: 'admin token',
    advice: `chmod 600 ${path}; \`nightshift token revoke\` it if somebody else has read it.`,
    look: async () => {
      if (!(await exists(path))) return 'none in this folder: the first `up` makes one';
      const mode = (await stat(path)).mode & 0o777;
      if (process.platform !== 'win32' && mode !== 0o600)
        throw new Error(`mode ${mode.toString(8)}, others may read it`);
      return 'mode 600';
    },
  };
}

/** Whether the API answers, and with the token of the folder what it says is missing; `url` null: there is none. */
export function checkApi({ url, tokenPath }: { url: string | null; tokenPath: string }): Check {
  return {
    part: 'api',
    advice: 'See the lines of nightshift.api in scheduler.log; what is not ready has a line of its own here.',
    look: async () => {
      if (url === null) return 'this instance has none: `nightshift up` without --no-api starts it';
      const health = await ask(`${url}/healthz`);
      if (health.status !== 200) throw new Error(`${url}/healthz answers ${health.status}`);
      const token = (await readFile(tokenPath, 'utf8').catch(() => '')).trim();
      if (token === '') return `${url} answers; its readiness needs a token, and there is none in the folder`;
      return readinessOf(url, await ask(`${url}/readyz`, token));
    },
  };
}

async function readinessOf(url: string, answer: Response): Promise<string | Finding[]> {
  if (answer.status === 401) {
    const text = `${url} answers; it does not know the token of the folder, so that its readiness was not asked`;
    const advice =
      'Delete the file admin-token if that one was revoked; `nightshift token create` makes another.';
    return [{ level: 'warning', part: 'api', text, advice }];
  }
  const parsed = readiness.safeParse(await answer.json().catch(() => null));
  if (!parsed.success) throw new Error(`${url}/readyz answers ${answer.status}, and not what is missing`);
  const missing = parsed.data.checks.filter(({ ok }) => !ok).map(({ part, detail }) => `${part}: ${detail}`);
  if (missing.length > 0) throw new Error(`${url} answers and is not ready: ${missing.join('; ')}`);
  return `${url} answers and is ready`;
}

async function ask(url: string, token?: string): Promise<Response> {
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  try {
    return await fetch(url, { headers, signal: AbortSignal.timeout(LIMIT_MS) });
  } catch (error) {
    const { cause = error } = error instanceof Error ? error : {};
    throw new Error(`${url} cannot be reached: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause: error,
    });
  }
}
