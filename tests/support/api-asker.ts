import type { ApiLog } from '../../src/api/deps.ts';
import type { ApiRole } from '../../src/contracts/api-tokens.ts';

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

/** Asks an API in this process and reads its JSON. A body that is text is sent as it is. */
export function askerOf(
  api: () => { request(path: string, init: RequestInit): Response | Promise<Response> },
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
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: JSON.parse(text) as unknown };
  };
}
