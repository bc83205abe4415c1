import { describe, expect, it } from 'vitest';
import { keyText } from '../../src/api/key-pages.ts';
import { equitySchema } from '../../src/api/routes/backtest-definitions.ts';
import { columnsOf } from '../../src/api/streams.ts';
import { MODELS } from '../../src/contracts/wire/names.ts';
import { claimNight } from '../../src/db/queries/nights.ts';
import { newNight } from '../support/rows.ts';
import { checkDataRoutes } from './result-data-checks.ts';
import { NEXT, type Page, S, UNIVERSE, useResults } from './result-house.ts';
import { checkWithSchemathesis } from './result-schemathesis.ts';

const house = useResults();

/** The version that the night's training made. */
function versionOf(): string {
  const { modelVersion } = house.resultOf('training');
  if (typeof modelVersion !== 'string') throw new TypeError('the training made no version');
  return modelVersion;
}

describe('signals', () => {
  type Signal = { symbol: string; side: string; outcome: Record<string, unknown> | null };

  it('are those of the report, with what became of them', async () => {
    const { items, ...set } = await house.get<Page<Signal>>('/api/v1/signals');
    const scan = house.resultOf('overnightScan');
    expect(set).toMatchObject({
      sessionDate: S,
      universe: UNIVERSE,
      modelVersion: scan['modelVersion'],
      revision: 1,
      nextPageToken: null,
    });
    expect(items).toHaveLength(8);
    for (const [index, signal] of house.report.signals.entries()) {
      const { outcome, side, ...item } = items[index] ?? { outcome: null };
      expect(outcome).not.toBeNull();
      expect({ ...item, signal: side }).toEqual({ ...signal, revision: 1 });
    }
    const [stored] = await house.rig.db('api').sql<Record<string, unknown>[]>`
      select * from turbomode.matured_predictions where symbol = 'AAPL'`;
    const { outcome } = items.find(({ symbol }) => symbol === 'AAPL') ?? { outcome: null };
    expect(outcome).toMatchObject({ entrySession: NEXT, exitSession: NEXT, missingReason: null });
    for (const name of ['entryPrice', 'exitPrice', 'forwardReturn', 'excessReturn'])
      expect([name, outcome?.[name]]).toEqual([name, stored?.[name]]);
  });

  it('come in pages and streams, by rank and by symbol', async () => {
    const ranked = await house.everywhere<Signal>('/api/v1/signals', 3);
    expect(ranked.map(({ symbol }) => symbol)).toEqual(house.report.signals.map(({ symbol }) => symbol));
    const named = await house.everywhere<Signal>(`/api/v1/signals?session=${S}&sort=symbol`, 3);
    expect(named.map(({ symbol }) => symbol)).toEqual(ranked.map(({ symbol }) => symbol).toSorted());
    const csv = await house.ask('/api/v1/signals', { accept: 'text/csv' });
    const [head = '', first = ''] = csv.text.split('\r\n');
    expect(head).toMatch(/^symbol,rank,side,.*,outcome\.forwardReturn,/);
    expect(first.split(',').slice(0, 5).join()).toBe(
      [house.report.signals[0]?.symbol, 1, 'hold', 'hold', house.report.signals[0]?.probability].join(),
    );
  });

  it('go on in the set they began with, whatever is scanned meanwhile', async () => {
    const first = await house.get<Page<Signal>>('/api/v1/signals?limit=3');
    const { sql } = house.rig.db('owner');
    await sql`
      insert into ops.task_runs (task_run_id, task, session_date, universe, universe_version, state, trigger,
        starter_workflow_id, starter_run_id, max_attempts, timeout_ms, config_hash, completed_at, result)
      select 'later', task, session_date, universe, universe_version, state, trigger, starter_workflow_id,
        starter_run_id, max_attempts, timeout_ms, config_hash, now(), jsonb_set(result, '{revision}', '2')
      from ops.task_runs where task = 'overnightScan'`;
    try {
      const rest = await house.get<Page<Signal>>(`/api/v1/signals?pageToken=${first.nextPageToken ?? ''}`);
      expect([...first.items, ...rest.items].map(({ symbol }) => symbol)).toEqual(
        house.report.signals.map(({ symbol }) => symbol),
      );
      expect(await house.ask('/api/v1/signals')).toMatchObject({
        status: 404,
        body: { detail: expect.stringMatching(/no longer kept/) as string },
      });
    } finally {
      await sql`delete from ops.task_runs where task_run_id = 'later'`;
    }
  });
});

describe('pages', () => {
  /** Looks after the night of another universe has begun, and the data of this one came in a second time. */
  async function afterMore<Value>(look: () => Promise<Value>): Promise<Value> {
    const { sql } = house.rig.db('owner');
    await sql`
      insert into ops.task_runs (task_run_id, task, session_date, universe, universe_version, state, trigger,
        starter_workflow_id, starter_run_id, max_attempts, timeout_ms, config_hash, completed_at, result)
      select task || ' later', task, session_date, universe, 'another', state, trigger, starter_workflow_id,
        starter_run_id, max_attempts, timeout_ms, config_hash, now(), result
      from ops.task_runs where task = 'ingestion' and session_date = ${S}`;
    await claimNight(sql, newNight({ sessionDate: NEXT }));
    try {
      return await look();
    } finally {
      await sql`delete from ops.task_runs where task_run_id like '% later'`;
      await sql`delete from ops.nights where session_date = ${NEXT}`;
    }
  }

  it.each(['symbols/AAPL/bars?adjust=splits', 'data/coverage/symbols?'])(
    'of %s stay with the night they began with',
    async (list) => {
      const path = `/api/v1/${list}`;
      const { items: all } = await house.get<Page<unknown>>(`${path}&limit=1000`);
      const first = await house.get<Page<unknown>>(`${path}&limit=1`);
      const rest = await afterMore(() =>
        house.get<Page<unknown>>(`${path}&limit=1000&pageToken=${first.nextPageToken ?? ''}`),
      );
      expect(all.length).toBeGreaterThan(1);
      expect([...first.items, ...rest.items]).toEqual(all);
    },
  );

  it('over sessions stay with the universe they began with', async () => {
    const [{ series } = { series: '' }] = await house.pages<{ series: string }>('/api/v1/drift', 500);
    for (const [path, place] of [
      ['/api/v1/symbols/AAPL/predictions', [NEXT]],
      [`/api/v1/drift/${series}`, [NEXT, 'z', 'z']],
    ] as const) {
      const { items } = await house.get<Page<unknown>>(path);
      const token = keyText([UNIVERSE, ...place]);
      const { items: paged } = await afterMore(() => house.get<Page<unknown>>(`${path}?pageToken=${token}`));
      expect(items, path).toHaveLength(1);
      expect(paged, path).toEqual(items);
    }
  });
});

describe('a symbol', () => {
  type Bar = { sessionDate: string; open: number; close: number; volume: number; doubtful: boolean };

  it('has its story: signal, outcome, doubts, rows in quarantine, what ingestion says', async () => {
    const story = await house.get<Record<string, unknown>>('/api/v1/symbols/aapl');
    expect(story).toMatchObject({
      symbol: 'AAPL',
      sessionDate: S,
      universe: UNIVERSE,
      instrument: { name: 'Apple Inc.', currency: 'USD' },
      signal: { symbol: 'AAPL', outcome: { exitSession: NEXT } },
      ingestion: { status: 'ok', provider: 'archive', absence: null },
      quarantine: [],
    });
    expect((await house.ask('/api/v1/symbols/NONE')).status).toBe(404);
  });

  it('has its bars up to the session and no further, stored, adjusted and with dividends', async () => {
    const bars = (query: string) => house.everywhere<Bar>(`/api/v1/symbols/AAPL/bars?${query}`, 97);
    const stored = await house.rig.db('api').sql<Record<string, unknown>[]>`
      select session_date, open, high, low, close, volume from market.bars
      where symbol = 'AAPL' and session_date <= ${S} order by session_date`;
    const raw = await bars('adjust=raw');
    expect(raw).toMatchObject(stored);
    expect(raw.at(-1)).toMatchObject({
      sessionDate: S,
      state: 'final',
      priceBasis: 'split-adjusted@2018-02-07',
    });
    expect((await bars(`session=${NEXT}`)).at(-1)?.sessionDate).toBe(NEXT);
    // The basis holds every split up to then already.
    expect(await bars('adjust=splits')).toEqual(raw);
    const total = await bars('adjust=total');
    const at = (list: Bar[], date: string) =>
      list.find(({ sessionDate }) => sessionDate === date)?.close ?? 0;
    expect(at(total, '2017-11-10')).toBe(at(raw, '2017-11-10'));
    expect(at(total, '2017-11-09')).toBeCloseTo(at(raw, '2017-11-09') - 0.63, 10);
    const before = (1 - 0.63 / at(raw, '2017-08-09')) * (1 - 0.63 / at(raw, '2017-11-09'));
    expect(at(total, '2017-08-09')).toBeCloseTo(at(raw, '2017-08-09') * before, 10);
    expect(total.map(({ volume }) => volume)).toEqual(raw.map(({ volume }) => volume));
    const some = await bars('from=2018-01-02&to=2018-01-05');
    expect(some.map(({ sessionDate }) => sessionDate)).toEqual(
      ['02', '03', '04', '05'].map((day) => `2018-01-${day}`),
    );
    expect((await house.ask('/api/v1/symbols/NONE/bars')).status).toBe(404);
  });

  it('has its features with their definitions', async () => {
    const answer = await house.get<{ features: { name: string; value: number | null }[] }>(
      '/api/v1/symbols/AAPL/features',
    );
    const [row] = await house.rig.db('api').sql<{ values: number[] }[]>`
      select values from turbomode.session_features where session_date = ${S} and symbol = 'AAPL'`;
    expect(answer.features).toHaveLength(Number(house.resultOf('training')['features']));
    expect(answer.features.map(({ value }) => value ?? Number.NaN)).toEqual(row?.values);
    expect(answer.features[0]).toMatchObject({
      name: expect.any(String) as string,
      family: 'returns',
      definition: expect.stringMatching(/c/) as string,
    });
    expect((await house.ask('/api/v1/symbols/NONE/features')).status).toBe(404);
  });

  it('has the predictions of all models beside what happened', async () => {
    const items = await house.everywhere<{ probabilities: Record<string, number> }>(
      '/api/v1/symbols/AAPL/predictions',
      1,
    );
    const signal = house.report.signals.find(({ symbol }) => symbol === 'AAPL');
    expect(items).toMatchObject([
      { sessionDate: S, simulated: true, rank: signal?.rank, outcome: { exitSession: NEXT } },
    ]);
    const [row] = await house.rig.db('api').sql<Record<string, unknown>[]>`
      select * from turbomode.predictions where symbol = 'AAPL'`;
    for (const model of [...MODELS, 'meanLogit', 'meta'])
      expect([model, items[0]?.probabilities[model]]).toEqual([
        model,
        row?.[`p${model.charAt(0).toUpperCase()}${model.slice(1)}`],
      ]);
    expect(items[0]?.probabilities['meta']).toBe(signal?.probability);
    expect(await house.pages('/api/v1/symbols/AAPL/predictions?to=2018-01-26', 5)).toEqual([]);
  });
});

describe('model versions', () => {
  type Model = Record<string, unknown> & {
    name: string;
    metrics: Record<string, { value: number | null; low: number | null; high: number | null }>;
    calibration: { decile: number; meanProbability: number; realisedRate: object }[] | null;
  };

  it('are listed with which is in use, since when and by whom', async () => {
    const items = await house.pages<Record<string, unknown>>('/api/v1/models', 1);
    expect(items).toMatchObject([
      {
        version: house.resultOf('training')['modelVersion'],
        sessionDate: S,
        accepted: true,
        gateReason: house.resultOf('training')['gateReason'],
        verdict: house.resultOf('training')['verdict'],
        inUse: { fromSession: S, kind: 'gate', by: 'gate' },
      },
    ]);
    expect(await house.pages('/api/v1/models?universe=other', 1)).toEqual([]);
  });

  it('have the numbers of the report, calibration and decisions', async () => {
    const version = versionOf();
    const { models, promotions } = await house.get<{ models: Model[]; promotions: unknown[] }>(
      `/api/v1/models/${version}`,
    );
    expect(promotions).toHaveLength(1);
    for (const told of house.report.models) {
      const model = models.find(({ name }) => name === told.name);
      expect(model).toMatchObject({ verdict: told.verdict, verdictInWords: told.verdictInWords });
      for (const [metric, figure] of Object.entries(told.metrics)) {
        const isNumber = typeof figure !== 'object' || figure === null;
        const wanted = isNumber ? { value: figure, low: null, high: null } : figure;
        expect([told.name, metric, model?.metrics[metric]]).toMatchObject([told.name, metric, wanted]);
      }
    }
    expect(models.filter(({ kind }) => kind === 'model').map(({ name }) => name)).toEqual([...MODELS]);
    expect(models.some(({ kind }) => kind === 'baseline')).toBe(true);
    const bins = models.find(({ name }) => name === 'lightgbm')?.calibration ?? [];
    const path = `/api/v1/backtests/${S}/metrics?model=lightgbm&dimension=decile`;
    const deciles = await house.pages<Record<string, unknown>>(path, 100);
    expect(bins.length).toBeGreaterThan(1);
    for (const { decile, meanProbability, realisedRate } of bins) {
      const of = (metric: string) =>
        deciles.find((one) => one['bucket'] === String(decile) && one['metric'] === metric);
      expect(of('realisedRate')).toMatchObject(realisedRate);
      expect(of('meanProbability')).toMatchObject({ value: meanProbability });
    }
    expect((await house.ask('/api/v1/models/none')).status).toBe(404);
  });

  it('say what each model looks at, as the file of the run does', async () => {
    const version = versionOf();
    const { models } = await house.get<{ models: { model: string }[] }>(`/api/v1/models/${version}/shap`);
    expect(models.map(({ model }) => model)).toEqual([...MODELS]);
    const { shapFile } = house.resultOf('training');
    const file = await house.rig.artifacts.getNamed(typeof shapFile === 'string' ? shapFile : '');
    const stored = JSON.parse(new TextDecoder().decode(file ?? new Uint8Array())) as {
      models: Record<string, unknown>[];
    };
    for (const { model, space, additive, top20 } of stored.models)
      expect(models.find((one) => one.model === model)).toMatchObject({ space, additive, top20 });
  });
});

describe('a backtest', () => {
  it('is that of the report', async () => {
    const answer = await house.get<Record<string, unknown>>(`/api/v1/backtests/${S}`);
    const { models, overfitting, holdout, ...told } = house.report.backtest ?? {};
    expect(answer).toMatchObject({ models, overfitting, holdout, sessionDate: S, invalidReason: null });
    for (const name of [
      'backtestId',
      'benchmarks',
      'notes',
      'trials',
      'sessions',
      'leftOutDoubtful',
      'matured',
    ])
      expect([name, answer[name]]).toEqual([name, told[name]]);
    expect((await house.ask('/api/v1/backtests/2018-01-26')).status).toBe(404);
  });

  it('is in the list, which names the one its session shows and stays in its order', async () => {
    type Listed = { backtestId: string; shown: boolean; sessionDate: string; runId: string };
    const { sql } = house.rig.db('owner');
    const { backtestId } = house.report.backtest ?? {};
    await sql`
      insert into turbomode.backtest_runs
      select (jsonb_populate_record(b, jsonb_build_object('backtest_id', 'other' || n,
        'session_date', case n when 1 then '2018-01-25' else session_date::text end))).*
      from turbomode.backtest_runs b, generate_series(1, 3) as n`;
    try {
      const listed = await house.pages<Listed>('/api/v1/backtests', 2);
      // Recorded at the same instant: the id decides, and that of a real one is hexadecimal.
      expect(listed.map((one) => [one.sessionDate, one.backtestId])).toEqual([
        [S, 'other3'],
        [S, 'other2'],
        [S, backtestId],
        ['2018-01-25', 'other1'],
      ]);
      expect(listed.filter(({ shown }) => shown).map((one) => one.backtestId)).toEqual([backtestId]);
      expect(await house.pages(`/api/v1/backtests?universe=${UNIVERSE}`, 1)).toEqual(listed);
      expect(await house.pages('/api/v1/backtests?universe=none', 1)).toEqual([]);
      const token = Buffer.from(JSON.stringify([S, 'soon', 'x'])).toString('base64url');
      expect((await house.ask(`/api/v1/backtests?pageToken=${token}`)).status).toBe(400);
    } finally {
      await sql`delete from turbomode.backtest_runs where backtest_id like 'other%'`;
    }
  });

  it('has every metric with its interval, by model, month, sector and decile', async () => {
    type Metric = { model: string; dimension: string; metric: string; value: number; low: number };
    const all = await house.everywhere<Metric>(`/api/v1/backtests/${S}/metrics`, 900);
    const [count] = await house.rig.db('api').sql<{ rows: number }[]>`
      select count(*) as rows from turbomode.backtest_metrics`;
    expect(all).toHaveLength(count?.rows ?? 0);
    expect(all.length).toBeGreaterThan(1_000);
    for (const dimension of ['all', 'month', 'sector', 'decile', 'portfolio', 'benchmark'])
      expect(
        all.some((one) => one.dimension === dimension),
        dimension,
      ).toBe(true);
    const path = `/api/v1/backtests/${S}/metrics?model=lightgbm&dimension=portfolio`;
    const own = await house.pages<Metric>(path, 7);
    const told = (house.report.backtest?.models ?? []).find(({ model }) => model === 'lightgbm');
    const of = (metric: string) => own.find((one) => one.metric === metric);
    expect(of('netReturn')?.value).toBe(told?.['netReturn']);
    expect(of('sharpe')).toMatchObject({
      value: told?.['sharpe'],
      low: told?.['sharpeLow'],
      high: told?.['sharpeHigh'],
    });
  });

  it('has its equity curves, which end where the returns say', async () => {
    type Point = { series: string; sessionDate: string; equityNet: number };
    const meanLogit = await house.everywhere<Point>(`/api/v1/backtests/${S}/equity?series=meanLogit`, 40);
    const told = (house.report.backtest?.models ?? []).find(({ model }) => model === 'meanLogit');
    expect((meanLogit.at(-1)?.equityNet ?? 0) - 1).toBe(told?.['netReturn']);
    const csv = await house.ask(`/api/v1/backtests/${S}/equity`, { accept: 'text/csv' });
    const [head, ...lines] = csv.text.trim().split('\r\n');
    expect(head).toBe(columnsOf(equitySchema).join(','));
    const [count] = await house.rig.db('api').sql<{ rows: number }[]>`
      select count(*) as rows from turbomode.equity_curves`;
    expect(lines).toHaveLength(count?.rows ?? 0);
    expect(new Set(lines.map((line) => line.split(',').slice(0, 2).join())).size).toBe(lines.length);
  });
});

// Late: a row that it releases from quarantine is among the bars from then on.
checkDataRoutes(house);
// Last: it does everything that can be done.
checkWithSchemathesis(house);
