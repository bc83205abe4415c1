import { afterEach, expect, it } from 'vitest';
import { childEnv, readApiEnv } from './env.ts';

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

it('the API reads logs in the named folder, else in that of its data folder, else nowhere', () => {
  const urls = {
    NIGHTSHIFT_DB_URL_API: 'postgres://api@127.0.0.1:5432/nightshift',
    NIGHTSHIFT_DB_URL_PIPELINE: 'postgres://pipeline@127.0.0.1:5432/nightshift',
  };
  expect(readApiEnv(urls).logDir).toBeNull();
  expect(readApiEnv({ ...urls, NIGHTSHIFT_DATA_DIR: '/data' }).logDir).toBe('/data/logs');
  const both = { ...urls, NIGHTSHIFT_DATA_DIR: '/data', NIGHTSHIFT_LOG_DIR: '/logs' };
  expect(readApiEnv(both).logDir).toBe('/logs');
});
