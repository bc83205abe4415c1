import { join } from 'node:path';
import { projectRoot } from '../../scripts/lib/paths.mjs';
import type { Sql } from '../../src/db/client.ts';
import { storeSessions } from '../../src/db/queries/sessions.ts';
import { readSessionTable, XNYS_CALENDAR_FILE } from '../../src/providers/calendar-file.ts';

/** The newest session of the made-up results, and the first of them. */
export const LAST = '2018-02-06';
export const FIRST = '2017-05-01';
/** Its night's backtest failed. */
export const WITHOUT_BACKTEST = '2017-09-05';
/** Raised on the first, in force while alarms go on, over on the last. */
export const FLAG = { raised: '2018-01-22', goesOn: '2018-01-23', over: '2018-01-24' };
export const VERSION = 'tiny-2018-02-06-v1';
/** What a backtest says of the mean of the base models, by decile, month and sector. */
export const DECILES = [-0.004, 0.0125];
export const MONTHS = { '2018-01': 0.021, '2018-02': -0.0345 };
export const SECTORS = { Energy: 0.0077, Technology: -0.012 };

type Row = Record<string, unknown>;

/** Inserts rows, all with the columns of the first. */
async function put(sql: Sql, table: string, rows: readonly Row[]): Promise<void> {
  const columns = Object.keys(rows[0] ?? {}).join(', ');
  await sql.unsafe(
    `insert into ${table} (${columns})
     select ${columns} from jsonb_populate_recordset(null::${table}, $1::text::jsonb)`,
    [JSON.stringify(rows)],
  );
}

/** A task run that has succeeded. */
export async function putRun(
  sql: Sql,
  run: { task: string; session: string; universe?: string; result?: object; state?: string },
): Promise<void> {
  await put(sql, 'ops.task_runs', [taskRun(run)]);
}

function taskRun(run: Parameters<typeof putRun>[1]): Row {
  const { task, session, universe = 'tiny', result = {}, state = 'succeeded' } = run;
  return {
    task_run_id: `${task}-${session}-${universe}`,
    night_workflow_id: `nightly/${session}/${universe}`,
    night_run_id: `night-${session}-${universe}`,
    task,
    session_date: session,
    universe,
    universe_version: 'v',
    state,
    trigger: 'cli',
    starter_workflow_id: `nightly/${session}/${universe}`,
    starter_run_id: `night-${session}-${universe}`,
    attempts: 1,
    max_attempts: 1,
    timeout_ms: 1_800_000,
    started_at: `${session}T23:00:00Z`,
    completed_at: `${session}T23:05:00Z`,
    result,
    config_hash: 'c',
  };
}

/** Bars of symbols on these sessions, for a universe of which they are the members. */
export async function putUniverse(
  sql: Sql,
  input: { universe: string; members: readonly string[]; sessions: readonly string[] },
): Promise<void> {
  const { universe, members, sessions } = input;
  const [source] = await sql<{ sourceId: number }[]>`
    insert into market.bar_sources (provider, dataset, price_basis, fetched_at)
    values ('archive', 'test', 'asTraded', now()) returning source_id`;
  const list = { universe, version: 'v', members, as_of: FIRST, survivorship: 'biased' };
  await put(sql, 'market.universes', [list]);
  const bars = members.flatMap((symbol) =>
    sessions.map((date, index) => ({
      symbol,
      session_date: date,
      open: 10 + index,
      high: 12 + index,
      low: 9 + index,
      close: 11 + index,
      volume: 1_000,
      available_at: `${date}T23:00:00Z`,
      source_id: source?.sourceId ?? 0,
      state: 1,
      revision: 0,
    })),
  );
  await put(sql, 'market.bars', bars);
}

const SIGNALS = [
  { symbol: 'AAPL', sector: 'Technology', words: 'hold: near the base rate' },
  { symbol: 'MSFT', sector: 'Technology', words: 'hold: near the base rate' },
  { symbol: 'XOM', sector: 'Energy', words: 'hold: rank 3 of 3' },
];

/**
 * Results of ten months of `tiny` as nights leave them, and of one night of `lagging`, which came before: enough of
 * each for what the pages draw, without a model or a night behind it. `sql` is logged in as the owner.
 */
export async function putResults(sql: Sql): Promise<{ sessions: string[] }> {
  const calendar = await readSessionTable(join(projectRoot, XNYS_CALENDAR_FILE));
  await sql.begin((tx) => storeSessions(tx, calendar));
  const sessions = calendar
    .map(({ sessionDate }) => sessionDate)
    .filter((date) => date >= FIRST && date <= LAST);
  const nights = [
    ...sessions.map((date) => ({ date, universe: 'tiny', at: `${date}T23:00:00Z` })),
    { date: FIRST, universe: 'lagging', at: `${FIRST}T22:00:00Z` },
  ];
  await put(
    sql,
    'ops.nights',
    nights.map(({ date, universe, at }) => ({
      workflow_id: `nightly/${date}/${universe}`,
      run_id: `night-${date}-${universe}`,
      session_date: date,
      universe,
      universe_version: 'v',
      trigger: 'cli',
      state: date === WITHOUT_BACKTEST ? 'partial' : 'succeeded',
      config_hash: 'c',
      started_at: at,
      completed_at: at,
    })),
  );
  const alarms: Record<string, number> = { [FLAG.raised]: 1, [FLAG.goesOn]: 1 };
  await put(
    sql,
    'ops.task_runs',
    sessions.flatMap((date) => [
      taskRun({ task: 'overnightScan', session: date, result: { modelVersion: VERSION, revision: 1 } }),
      taskRun({
        task: 'backtest',
        session: date,
        result: { backtestId: 'b1' },
        ...(date === WITHOUT_BACKTEST && { state: 'failed' }),
      }),
      taskRun({ task: 'driftMonitoring', session: date, result: { alarms: alarms[date] ?? 0 } }),
    ]),
  );
  await putSignals(sql);
  await putModel(sql);
  await putBacktest(sql, sessions.slice(-80));
  const reasons = [
    { series: 'vol21', baseline: 'rolling', words: 'feature vol21 against the rolling baseline' },
  ];
  const flag = { universe: 'tiny', universe_version: 'v', model_version: VERSION, task_run_id: 'd' };
  await put(sql, 'turbomode.retraining_flags', [{ ...flag, session_date: FLAG.raised, reasons }]);
  return { sessions };
}

async function putSignals(sql: Sql): Promise<void> {
  await put(
    sql,
    'market.instruments',
    SIGNALS.map(({ symbol, sector }) => ({
      symbol,
      name: symbol,
      sector,
      currency: 'USD',
      provider: 'archive',
      metadata: {},
    })),
  );
  await put(
    sql,
    'turbomode.signals',
    [LAST, WITHOUT_BACKTEST].flatMap((date) =>
      SIGNALS.map(({ symbol, words }, index) => ({
        session_date: date,
        universe: 'tiny',
        universe_version: 'v',
        model_version: VERSION,
        revision: 1,
        symbol,
        rank: index + 1,
        side: 'hold',
        probability: 0.52 - index / 100,
        base_rate: 0.5,
        confidence: 0.1,
        reason_code: 'near_base_rate',
        reason_words: words,
        reasons: [],
        data_cutoff: `${date}T23:00:00Z`,
        feature_set_version: 'f',
        task_run_id: `overnightScan-${date}-tiny`,
        written_at: `${date}T23:05:00Z`,
      })),
    ),
  );
}

async function putModel(sql: Sql): Promise<void> {
  const hashes = { dataset_hash: 'd', code_hash: 'c', lock_hash: 'l', meta_hash: 'm', oof_hash: 'o' };
  const version = (name: string, session: string) => ({
    version: name,
    session_date: session,
    universe: 'tiny',
    universe_version: 'v',
    feature_set_version: 'f',
    ...hashes,
    label_kind: 'excess',
    horizon_sessions: 1,
    parameters: {},
    seed: 1,
    threads: 2,
    library_versions: {},
    platform: 'test',
    models: {},
    survivorship: 'biased',
    verdicts: { lightgbm: { verdict: 'no_edge' } },
    gate: { reason: 'it is no worse than the one in use' },
    accepted: true,
    state: 'accepted',
    created_by_run: 'training',
    recorded_at: `${session}T23:04:00Z`,
  });
  await put(sql, 'turbomode.model_versions', [version(VERSION, LAST), version('tiny-older', '2018-01-08')]);
  await put(
    sql,
    'turbomode.model_promotions',
    [
      ['tiny-older', '2018-01-08'],
      [VERSION, '2018-02-05'],
    ].map(([name, from]) => ({
      universe: 'tiny',
      version: name,
      effective_from_session: from,
      kind: 'gate',
      decided_by: 'the gate',
      why: 'it is no worse',
    })),
  );
  const metric = { version: VERSION, lower: 0.49, upper: 0.55, n: 100, baseline: {}, survivorship: 'biased' };
  await put(sql, 'turbomode.model_metrics', [
    { ...metric, model: 'lightgbm', metric: 'auc', value: 0.5217 },
    { ...metric, model: 'lightgbm', metric: 'rows', value: 4_321 },
  ]);
  const shares = [
    ['ret1', 0.412],
    ['vol21', 0.3],
  ].map(([feature, share]) => ({ feature, share, meanAbsShap: share }));
  await put(
    sql,
    'turbomode.shap_runs',
    [
      ['lightgbm', shares],
      ['mlp', shares.toReversed().slice(0, 1)],
    ].map(([model, top20]) => ({
      task_run_id: 'training',
      version: VERSION,
      model,
      shap_hash: 's',
      space: 'log-odds',
      additive: true,
      additivity_max_error: 0,
      top20,
    })),
  );
}

async function putBacktest(sql: Sql, sessions: readonly string[]): Promise<void> {
  await put(sql, 'turbomode.backtest_runs', [
    {
      backtest_id: 'b1',
      task_run_id: `backtest-${LAST}-tiny`,
      session_date: LAST,
      universe: 'tiny',
      universe_version: 'v',
      feature_set_version: 'f',
      dataset_hash: 'd',
      oof_hash: 'o',
      meta_hash: 'm',
      parameters: {},
      summary: { overfitting: { words: 'one choice in four may be chance' }, notes: [] },
    },
  ]);
  const own = { backtest_id: 'b1', model: 'meanLogit', lower: null, upper: null, n: 100 };
  const metric = (dimension: string, bucket: string, name: string, value: number) => ({
    ...own,
    dimension,
    bucket,
    metric: name,
    value,
  });
  const deciles = DECILES.flatMap((value, index) => {
    const bucket = String(index + 1).padStart(2, '0');
    return [
      { ...metric('decile', bucket, 'excessReturn', value), lower: value - 0.01, upper: value + 0.01 },
      metric('decile', bucket, 'meanProbability', 0.4 + index / 5),
      { ...metric('decile', bucket, 'realisedRate', 0.45 + index / 10), lower: 0.4, upper: 0.65 },
    ];
  });
  await put(sql, 'turbomode.backtest_metrics', [
    ...deciles,
    ...Object.entries(MONTHS).map(([month, value]) => metric('month', month, 'netTotal', value)),
    ...Object.entries(SECTORS).map(([sector, value]) => metric('sector', sector, 'netTotal', value)),
    { ...metric('portfolio', 'all', 'netReturn', 0.0431) },
    { ...metric('benchmark', 'all', 'totalReturn', 0.1), model: 'equalWeight' },
  ]);
  await put(
    sql,
    'turbomode.equity_curves',
    ['meanLogit', 'equalWeight'].flatMap((series, at) =>
      sessions.map((date, index) => ({
        backtest_id: 'b1',
        series,
        session_date: date,
        equity_net: 1 + (index * (at + 1)) / 1_000,
      })),
    ),
  );
}
