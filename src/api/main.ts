import { serve } from '@hono/node-server';
import { withoutTokens } from '../contracts/api-tokens.ts';
import { createDatabase } from '../db/client.ts';
import { findApiToken } from '../db/queries/api-tokens.ts';
import { readApiEnv } from '../runtime/env.ts';
import { whenParentDies } from '../runtime/parent.ts';
import { connectClient } from '../temporal/connection.ts';
import { startTracing } from '../tracing/start.ts';
import { createApi } from './app.ts';
import { API_TIMES, type ApiLog } from './deps.ts';
import { coverageReader } from './provider-coverage.ts';

/** How long requests that run may go on after SIGTERM. */
const GRACE_MS = 10_000;
const ANONYMOUS_PER_MINUTE = 300;
/** Clients and proxies (60 s by default) let go first: a connection closed under a request fails that request. */
const KEEP_ALIVE_MS = 65_000;

/** Lines of this turn of the event loop: a pipe takes each write at once, and each costs as much as an answer. */
let unwritten = '';
function writeLines(): void {
  const text = unwritten;
  unwritten = '';
  if (text !== '') process.stdout.write(text);
}
process.once('exit', writeLines);

/** JSON lines (UTC) on standard output: whoever started this process decides where they go. */
const log: ApiLog = (level, msg, fields = {}) => {
  const line = { ts: new Date().toISOString(), level, logger: 'nightshift.api', msg, ...fields };
  if (unwritten === '') setImmediate(writeLines);
  // A path may hold a token that somebody pasted there.
  unwritten += `${withoutTokens(JSON.stringify(line))}\n`;
};

/** Composition root of the API process: it starts also while Postgres or Temporal are down. */
async function main(): Promise<void> {
  const env = readApiEnv();
  const login = {
    applicationName: 'nightshift-api',
    statementTimeoutMs: API_TIMES.statementMs,
    prepare: true,
  };
  const database = createDatabase(env.databaseUrls.api, { ...login, max: 10 });
  const pipeline = createDatabase(env.databaseUrls.pipeline, { ...login, max: 2 });
  const tracing = await startTracing({
    url: env.tracesUrl,
    service: 'nightshift-api',
    onProblem: (problem) => log('WARNING', 'traces cannot be delivered', { problem }),
  });
  const temporal = connectClient({ interceptors: tracing === null ? [] : [tracing.client] });
  const stopping = new AbortController();
  const { temporalUi } = env;
  const api = createApi({
    sql: database.sql,
    pipelineSql: pipeline.sql,
    client: temporal.client,
    findToken: (tokenId) => findApiToken(database.sql, tokenId),
    log,
    configPath: env.configPath,
    logDir: env.logDir,
    limits: { tokenPerMinute: env.requestsPerMinute, anonymousPerMinute: ANONYMOUS_PER_MINUTE },
    times: API_TIMES,
    coverageOf: coverageReader(env.sampleDataDir),
    stopping: stopping.signal,
    ...(tracing !== null && { tracing }),
    ...(temporalUi !== null && {
      workflowsUrl: `${temporalUi.replace(/\/+$/, '')}/namespaces/${encodeURIComponent(env.temporalNamespace)}/workflows`,
    }),
  });
  const { host: hostname, port } = env;
  const server = serve(
    { fetch: api.fetch, hostname, port, serverOptions: { keepAliveTimeout: KEEP_ALIVE_MS } },
    ({ address, port }) => log('INFO', `the API listens on http://${address}:${port}`),
  );
  const stopWatching = whenParentDies(env.parentPid, () => {
    log('ERROR', 'the process that started the API is gone');
    process.exit(1);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve());
  });
  stopWatching();
  stopping.abort();
  await new Promise<void>((resolve) => {
    setTimeout(resolve, GRACE_MS).unref();
    server.close(() => resolve());
  });
  await temporal.close();
  await Promise.all([database.close(), pipeline.close(), tracing?.close()]);
}

await main();
