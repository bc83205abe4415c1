import { OpenAPIHono } from '@hono/zod-openapi';
import type { ApiEnv } from './deps.ts';
import { Problem } from './problems.ts';

/** Routes whose input is checked: what is wrong is answered field by field. */
export function newRouter(): OpenAPIHono<ApiEnv> {
  return new OpenAPIHono<ApiEnv>({
    defaultHook: (result) => {
      if (result.success) {
        refuseNul(result.data);
        return;
      }
      const errors = result.error.issues.map(({ path, message }) => ({
        field: path.length === 0 ? result.target : path.join('.'),
        message,
      }));
      const words = errors.map(({ field, message }) => `${field}: ${message}`).join('; ');
      throw new Problem('invalid-input', words, { errors });
    },
  });
}

/** What no row can hold is refused here: stored or compared, it would be an error of the database. */
function refuseNul(data: unknown): void {
  if (typeof data !== 'object' || data === null) return;
  for (const [field, value] of Object.entries(data)) {
    if (typeof value !== 'string' || !value.includes('\0')) continue;
    const message = 'holds a NUL character';
    throw new Problem('invalid-input', `${field}: ${message}`, { errors: [{ field, message }] });
  }
}
