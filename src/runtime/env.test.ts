import { afterEach, expect, it } from 'vitest';
import { childEnv } from './env.ts';

const before = process.env['DATABASE_URL'];

afterEach(() => {
  if (before === undefined) delete process.env['DATABASE_URL'];
  else process.env['DATABASE_URL'] = before;
});

it("children inherit what is set, without the owner's login", () => {
  process.env['DATABASE_URL'] = 'postgres://owner:secret@127.0.0.1:5432/nightshift';
  const env = childEnv({ EXTRA: 'yes', PATH: undefined });
  expect(env).toMatchObject({ EXTRA: 'yes' });
  expect(env).not.toHaveProperty('DATABASE_URL');
  expect(env).not.toHaveProperty('PATH');
  expect(Object.values(env).join(' ')).not.toContain('owner:secret');
});
