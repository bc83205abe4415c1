import { afterEach, expect, it } from 'vitest';
import { childEnv, readApiEnv, readEnv, tracesUrl } from './env.ts';

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

it('the API reads logs in the named folder, else in that of its data folder, else nowhere, and bars as its workers do', () => {
  const urls = {
    NIGHTSHIFT_DB_URL_API: 'postgres://api@127.0.0.1:5432/nightshift',
    NIGHTSHIFT_DB_URL_PIPELINE: 'postgres://pipeline@127.0.0.1:5432/nightshift',
  };
  expect(readApiEnv(urls).logDir).toBeNull();
  expect(readApiEnv({ ...urls, NIGHTSHIFT_DATA_DIR: '/data' }).logDir).toBe('/data/logs');
  const both = { ...urls, NIGHTSHIFT_DATA_DIR: '/data', NIGHTSHIFT_LOG_DIR: '/logs' };
  expect(readApiEnv(both).logDir).toBe('/logs');
  expect(readApiEnv({ ...urls, NIGHTSHIFT_SAMPLE_DATA_DIR: '/bars' }).sampleDataDir).toBe('/bars');
});

it('traces go to the collector that the standard variables name, else nowhere', () => {
  const url = (source: Record<string, string>) => tracesUrl(readEnv(source));
  expect(url({})).toBeNull();
  expect(url({ OTEL_EXPORTER_OTLP_ENDPOINT: '' })).toBeNull();
  const named = { OTEL_EXPORTER_OTLP_ENDPOINT: 'https://collector:4318/' };
  expect(url(named)).toBe('https://collector:4318/v1/traces');
  expect(url({ ...named, OTEL_SDK_DISABLED: 'TRUE' })).toBeNull();
});

it.each([
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: '127.0.0.1:4318' }, 'must be an http or https URL'],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'grpc://collector:4317' }, 'must be an http or https URL'],
  [{ OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, 'must be http/json or http/protobuf'],
])('settings of traces that cannot be right are named: %o', (source, words) => {
  expect(() => readEnv(source)).toThrow(`environment: ${Object.keys(source)[0]}: ${words}`);
});
