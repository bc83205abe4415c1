import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { Pool } from 'pg';
import postgres from 'postgres';

const CONNECTIONS = 10;

/** The one statement that an endpoint cannot do without, each once prepared on a connection. */
const STATEMENTS = {
  status: `
    select r.* from unnest(array['ingestion', 'training', 'overnightScan', 'backtest', 'driftMonitoring',
      'weeklyMaintenance']) as t(task)
    cross join lateral (
      select task, task_run_id, session_date, universe, state, started_at, completed_at, reason, failure, (
        select jsonb_object_agg(key, value) from jsonb_each(result)
        where jsonb_typeof(value) not in ('object', 'array')) as result
      from ops.task_runs where task = t.task and started_at is not null
      order by started_at desc limit 1) r`,
  signals: `
    with scan as (
      select session_date, universe, universe_version, result ->> 'modelVersion' as model_version,
        (result ->> 'revision')::int as revision
      from ops.task_runs where task = 'overnightScan' and state = 'succeeded'
      order by session_date desc, completed_at desc limit 1)
    select s.symbol, s.rank, s.side, s.probability, s.base_rate, s.confidence, s.reason_code, s.reason_words,
      s.reasons, s.model_version, s.revision, s.feature_set_version, s.data_cutoff, o.*
    from scan join turbomode.signals s using (session_date, universe, universe_version, model_version, revision)
    left join lateral (
      select entry_session, exit_session, entry_price, exit_price, forward_return, excess_return, target_direction,
        target_excess, missing_reason
      from turbomode.matured_predictions m
      where m.session_date = s.session_date and m.universe = s.universe
        and m.universe_version = s.universe_version and m.model_version = s.model_version
        and m.revision = s.revision and m.symbol = s.symbol and m.invalid_from is null
      order by available_session desc, outcome_version desc limit 1) o on true
    order by s.rank nulls last, s.symbol limit 100`,
  runs: `
    select task_run_id, task, session_date, universe, state, reason, trigger, forced, requested_by, attempts,
      max_attempts, created_at, started_at, completed_at, review_deadline
    from ops.task_runs order by created_at desc, task_run_id desc limit 50`,
  run: `
    select t.*,
      (select json_agg(a order by attempt) from ops.task_attempts a where a.task_run_id = t.task_run_id) as attempts,
      (select json_agg(r) from ops.reviews r where r.task_run_id = t.task_run_id) as reviews
    from ops.task_runs t where task_run_id = $1`,
} as const;
export type BareEndpoint = keyof typeof STATEMENTS;

/** postgres.js is the reference, node-postgres what the product is made with. */
export const BARE_DRIVERS = ['postgres.js', 'pg'] as const;
export type BareDriver = (typeof BARE_DRIVERS)[number];
type Rows = (name: BareEndpoint, values?: string[]) => Promise<readonly unknown[]>;

const ROWS_OF: Record<BareDriver, (databaseUrl: string) => Rows> = {
  'postgres.js': (databaseUrl) => {
    const sql = postgres(databaseUrl, { max: CONNECTIONS });
    return async (name, values = []) => await sql.unsafe(STATEMENTS[name], values, { prepare: true });
  },
  pg: (databaseUrl) => {
    const pool = new Pool({ connectionString: databaseUrl, max: CONNECTIONS });
    return async (name, values = []) =>
      (await pool.query<Record<string, unknown>>({ name, text: STATEMENTS[name], values })).rows;
  },
};

/** A server that does nothing but one statement for each request, without token, checks or log. */
export async function serveBare(databaseUrl: string, driver: BareDriver): Promise<{ port: number }> {
  const rows = ROWS_OF[driver](databaseUrl);
  const app = new Hono();
  app.get('/status', async (c) => c.json(await rows('status')));
  app.get('/signals', async (c) => c.json(await rows('signals')));
  app.get('/runs', async (c) => c.json(await rows('runs')));
  app.get('/run/:runId', async (c) => c.json(await rows('run', [c.req.param('runId')])));
  return await new Promise((resolve) => {
    serve({ fetch: app.fetch, hostname: '127.0.0.1', port: 0 }, ({ port }) => resolve({ port }));
  });
}
