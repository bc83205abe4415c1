import type { Sql } from '../../src/db/client.ts';

/** Which session a row belongs to: `t` is the table. Null: the table says nothing about single nights. */
const SESSION_OF: Record<string, string | null> = {
  'turbomode.datasets': 't.session_date',
  'turbomode.session_features': 't.session_date',
  'turbomode.fold_fits':
    '(select d.session_date from turbomode.datasets d where d.dataset_hash = t.dataset_hash)',
  'turbomode.model_versions': 't.session_date',
  'turbomode.model_promotions': 't.effective_from_session',
  'turbomode.model_metrics':
    '(select v.session_date from turbomode.model_versions v where v.version = t.version)',
  'turbomode.shap_runs':
    '(select v.session_date from turbomode.model_versions v where v.version = t.version)',
  'turbomode.predictions': 't.session_date',
  'turbomode.signals': 't.session_date',
  'turbomode.matured_predictions': 't.session_date',
  'turbomode.backtest_runs': 't.session_date',
  'turbomode.backtest_metrics':
    '(select b.session_date from turbomode.backtest_runs b where b.backtest_id = t.backtest_id)',
  'turbomode.equity_curves':
    '(select b.session_date from turbomode.backtest_runs b where b.backtest_id = t.backtest_id)',
  'turbomode.holdout_openings': 't.opened_session',
  'turbomode.drift_baselines': 't.session_date',
  'turbomode.drift_anchors': 't.effective_from_session',
  'turbomode.drift_log': 't.session_date',
  'turbomode.retraining_flags': 't.session_date',
  'market.bars': 't.session_date',
  'market.bar_revisions': 't.session_date',
  'market.bar_flags': 't.session_date',
  'market.quarantine': 't.session_date',
  'market.gaps': 't.session_date',
  // One row for all nights: definitions, which later nights find as they are.
  'turbomode.feature_sets': null,
  'market.universes': null,
  'market.instruments': null,
  'market.sessions': null,
  'market.session_overrides': null,
  // One row for each event of a company, by its own date; a night reads those known by its session.
  'market.splits': null,
  'market.dividends': null,
  'market.fundamentals': null,
  'market.split_revisions': null,
  'market.dividend_revisions': null,
  'market.fundamental_revisions': null,
  // How far somebody has come: not about one night.
  'market.bar_sources': null,
  'market.validation_state': null,
};

/** When, by whom and in which order something was recorded. */
const RECORDING = [
  'recorded_at',
  'created_at',
  'written_at',
  'fetched_at',
  'decided_at',
  'removed_at',
  'known_at',
  'created_by_run',
  'task_run_id',
  'source_id',
  'promotion_id',
  'anchor_id',
  'fit_seconds',
  'cpu_seconds',
];

/**
 * Rows of every table by `schema.table session`, without what says when and by which run they were written. Throws
 * when a table is missing from the list above, so that a new one is decided about.
 */
export async function readSessionRows(
  sql: Sql,
  input: { sessions: readonly string[] },
): Promise<Map<string, string[]>> {
  const tables = await sql<{ name: string }[]>`
    select table_schema || '.' || table_name as name from information_schema.tables
    where table_schema in ('market', 'turbomode') and table_type = 'BASE TABLE'`;
  const found = new Map<string, string[]>();
  for (const { name } of tables) {
    const session = SESSION_OF[name];
    if (session === undefined) throw new Error(`${name}: which session do its rows belong to?`);
    if (session === null) continue;
    const rows = await sql.unsafe<{ session: string; body: string }[]>(
      `select s.session::text as session, (to_jsonb(t) - $1::text[])::text as body
       from ${name} t cross join lateral (select ${session} as session) s
       where s.session = any($2::date[]) order by 1, 2`,
      [RECORDING, [...input.sessions]],
    );
    for (const one of input.sessions) found.set(`${name} ${one}`, []);
    for (const { session: of, body } of rows) found.get(`${name} ${of}`)?.push(body);
  }
  return found;
}

/** Tables and sessions whose rows are not the same, with how many rows each side has and the first that differs. */
export function changedSessions(
  here: ReadonlyMap<string, string[]>,
  there: ReadonlyMap<string, string[]>,
): string[] {
  return [...new Set([...here.keys(), ...there.keys()])].flatMap((key) => {
    const [a = [], b = []] = [here.get(key), there.get(key)];
    if (a.length === b.length && a.every((row, i) => row === b[i])) return [];
    const only = (rows: string[], other: string[]) => rows.find((row) => !other.includes(row)) ?? '(none)';
    return [`${key}: ${a.length} and ${b.length} rows\n  ${only(a, b)}\n  ${only(b, a)}`];
  });
}
