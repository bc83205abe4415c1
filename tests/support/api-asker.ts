import type { AppType } from '../../src/api/app.ts';
import type { ApiLog } from '../../src/api/deps.ts';
import { describeApi } from '../../src/api/openapi.ts';
import type { ApiRole } from '../../src/contracts/api-tokens.ts';
import { answerChecker } from './api-document.ts';

export type LogLine = { level: string; message: string; fields: Record<string, unknown> };
export type Asked = { token?: string; headers?: Record<string, string>; body?: unknown };
export type Answer = { status: number; headers: Headers; body: unknown };

/** A log whose lines a test reads. */
export function keepLines(): { lines: LogLine[]; log: ApiLog } {
  const lines: LogLine[] = [];
  return { lines, log: (level, message, fields = {}) => void lines.push({ level, message, fields }) };
}

/** What tests call a token of this role. */
export const tokenName = (role: ApiRole): string => `the ${role}`;

/** Made once: all APIs have the same routes, and each compiled schema costs some milliseconds. */
let check: ReturnType<typeof answerChecker> | undefined;

/**
 * Asks an API in this process and reads its JSON; each answer has to be as its OpenAPI document says. A body that is
 * text is sent as it is.
 */
export function askerOf(
  api: () => AppType,
): (method: string, path: string, asked?: Asked) => Promise<Answer> {
  return async (method, path, { token, headers, body } = {}) => {
    const response = await api().request(path, {
      method,
      headers: {
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const answer = {
      status: response.status,
      headers: response.headers,
      body: JSON.parse(await response.text()) as unknown,
    };
    check ??= answerChecker(describeApi(api()));
    check({ ...answer, method, path, contentType: answer.headers.get('content-type') ?? '' });
    return answer;
  };
}

/** Whether a path is one of the API, and not of the pages beside it. */
export function isOfTheApi(path: string): boolean {
  return /^\/(api|scheduler)\/|^\/(healthz|readyz|metrics|openapi\.json)$/.test(path);
}
