import { OpenAPIHono } from '@hono/zod-openapi';
import type { ApiEnv } from './deps.ts';
import { Problem } from './problems.ts';

/** Routes whose input is checked: what is wrong is answered field by field. */
export function newRouter(): OpenAPIHono<ApiEnv> {
  return new OpenAPIHono<ApiEnv>({
    defaultHook: (result) => {
      if (result.success) return;
      const errors = result.error.issues.map(({ path, message }) => ({
        field: path.length === 0 ? result.target : path.join('.'),
        message,
      }));
      const words = errors.map(({ field, message }) => `${field}: ${message}`).join('; ');
      throw new Problem('invalid-input', words, { errors });
    },
  });
}
