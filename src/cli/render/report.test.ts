import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type RunReport, runReportSchema } from '../../contracts/schemas/report.ts';
import { renderReport } from './report.ts';

const report: RunReport = runReportSchema.parse({
  schemaVersion: 1,
  sessionDate: '2018-02-07',
  universe: 'sample',
  universeVersion: 'u1',
  status: 'partial',
  reason: 'driftMonitoring failed',
  workflowId: 'nightly/2018-02-07/sample',
  runId: 'r1',
  startedAt: '2018-02-08T03:45:00.000Z',
  completedAt: '2018-02-08T03:46:05.000Z',
  durationMs: 65_000,
  survivorship: 'biased',
  tasks: [
    {
      task: 'ingestion',
      status: 'succeeded',
      attempts: 2,
      startedAt: '2018-02-08T03:45:00.000Z',
      completedAt: '2018-02-08T03:45:03.000Z',
      durationMs: 3000,
      reason: null,
      result: { totalSymbols: 30 },
    },
    {
      task: 'driftMonitoring',
      status: 'failed',
      attempts: 3,
      startedAt: null,
      completedAt: null,
      durationMs: null,
      reason: 'no baseline',
      result: null,
      history: [
        {
          attempt: 1,
          status: 'timed_out',
          startedAt: '2018-02-08T03:45:10.000Z',
          completedAt: '2018-02-08T03:46:10.000Z',
          reason: null,
        },
        {
          attempt: 2,
          status: 'failed',
          startedAt: '2018-02-08T03:46:11.000Z',
          completedAt: '2018-02-08T03:46:13.000Z',
          reason: 'no base',
        },
        {
          attempt: 3,
          status: 'failed',
          startedAt: '2018-02-08T03:46:14.000Z',
          completedAt: '2018-02-08T03:46:15.000Z',
          reason: 'no baseline',
        },
      ],
    },
  ],
  coverage: { totalSymbols: 30, coverage: 0.9987 },
  models: [
    {
      name: 'meta',
      version: 'v1',
      verdict: 'no_edge',
      verdictInWords: 'no edge over the base rate was found',
      metrics: { auc: { value: 0.5123, low: 0.49, high: 0.53 }, ic: null, logLoss: 0.6907 },
      baselines: { baseRate: { logLoss: 0.6932 } },
    },
  ],
  signals: [
    {
      symbol: 'AAPL',
      rank: 1,
      signal: 'hold',
      probability: 0.5021,
      confidence: null,
      reason: 'verdict no_edge',
      reasons: [],
      modelVersion: 'v1',
      featureSetVersion: 'f1',
      dataCutoff: '2018-02-07',
    },
  ],
  drift: { status: 'ok', alarms: 0 },
  urls: { night: 'http://127.0.0.1:8233/x' },
});

describe('renderReport', () => {
  const text = renderReport(report).join('\n');

  it('starts with session, universe, status and time', () => {
    expect(text.split('\n')[0]).toBe('Night of 2018-02-07, universe sample: partial in 1 min 05 s');
  });

  it('shows each task with status, time, attempts and the reason of a failure', () => {
    expect(text).toMatch(/1 ingestion +succeeded +3\.0 s +2 attempts/);
    expect(text).toMatch(/5 driftMonitoring +failed +– +3 attempts\n {6}no baseline/);
    expect(text).toContain(
      '      attempt 1: timed out after 1 min 00 s\n      attempt 2: failed after 2.0 s: no base',
    );
  });

  it('shows metrics with intervals beside the baselines, a dash for what is missing, and the verdict in words', () => {
    expect(text).toMatch(/meta +0\.5123 \[0\.4900, 0\.5300\] +– +0\.6907 +no_edge/);
    expect(text).toMatch(/\(base rate\) +– +– +0\.6932 +baseline/);
    expect(text).toContain('no edge over the base rate was found');
  });

  it('says that a ranking without edge is no signal, and that the universe is biased', () => {
    expect(text).toContain('Ranking for the next session, no signals (0 issued, 1 symbol)');
    expect(text).toContain('verdict no_edge');
    expect(text).toContain('Survivorship: biased');
  });

  it('ends with the links', () => {
    expect(text).toContain('night: http://127.0.0.1:8233/x');
  });
});

/** Values of a night of `sp500` on the bundled data, shortened to three models and fourteen signals. */
const real: RunReport = runReportSchema.parse(
  JSON.parse(readFileSync(new URL('testdata/report-sp500.json', import.meta.url), 'utf8')),
);

describe('renderReport of a real night', () => {
  const lines = renderReport(real);
  const text = lines.join('\n');
  const flat = text.replaceAll(/\s+/g, ' ');

  it('says what the data cover, what is wrong with them and where to look', () => {
    expect(flat).toContain(
      'coverage: 505 of 505 symbols have a bar of 2018-02-07 (100.0 %), 505 of them usable',
    );
    expect(flat).toContain('23 impossible rows in quarantine, 1,138 doubtful bars flagged');
    expect(flat).toContain('2017-08-01 (276 bars)');
    expect(flat).toContain('nightshift quarantine list');
  });

  it('names symbols that failed', () => {
    const tasks = real.tasks.map((task) =>
      task.task === 'ingestion'
        ? {
            ...task,
            result: { ...task.result, failed: 7, failures: [{ symbol: 'ABC', reason: 'rate limited' }] },
          }
        : task,
    );
    const failed = renderReport({ ...real, tasks })
      .join(' ')
      .replaceAll(/\s+/g, ' ');
    expect(failed).toContain('failed: 7 symbols: ABC (rate limited) and 6 more');
  });

  it('prints the budget of the training: rows, features, trees, folds fitted and reused', () => {
    expect(flat).toContain(
      '617,879 rows (505 symbols, 1,259 sessions), 50 features, label excess, horizon 1 session',
    );
    expect(flat).toContain('folds: 0 fitted, 40 reused, in 5 test blocks with 138,805 out-of-fold rows');
    expect(flat).toContain('final models: 8 fitted, 0 reused');
    expect(flat).toContain('trees: lightgbm 150, xgboost 150, catboost 150, histGradientBoosting 150');
    expect(flat).toContain('version sp500-20180207-182ef6bf2fba: accepted: out-of-fold log loss not worse');
  });

  it('has one sentence for the verdict, with what could have been detected, and the metrics with doubtful rows', () => {
    expect(flat).toMatch(
      /In words: No edge, because .*: the IC is 0\.02\d\d \(95 % interval 0\.\d+ to 0\.\d+\), .*could not have been told from zero\./,
    );
    expect(flat).toMatch(/With doubtful bars counted in, meta: AUC 0\.5136, IC 0\.0224 \[0\.0083, 0\.0373\]/);
  });

  it('shows the baselines once where all models stand on the same rows', () => {
    expect(lines.filter((line) => line.startsWith('  (mean logit) '))).toHaveLength(1);
    expect(flat).not.toContain('and the baselines below');
  });

  it.each([80, 120])(
    'shows other baselines beside the model whose rows are others, %i columns',
    (columns) => {
      const models = real.models.map((model) =>
        model.name === 'meta'
          ? { ...model, baselines: { meanLogit: { auc: 0.5099, ic: 0.0111, logLoss: 0.6935 } } }
          : model,
      );
      const table = renderReport({ ...real, models }, { columns });
      const rows = table.map((line) => line.trimStart().split(/ {2,}/)[0] ?? '');
      const from = rows.indexOf('model');
      expect(rows.slice(from + 1, from + 9)).toEqual([
        'lightgbm',
        'mlp',
        '(base rate)',
        '(mean logit)',
        '(majority class)',
        '(yesterday sign)',
        'meta',
        '(mean logit)',
      ]);
      expect(table[from + 4]).toMatch(/^ {2}\(mean logit\) +0\.5158 .*0\.0309.*0\.6928.* baseline$/);
      expect(table[from + 8]).toMatch(/^ {2}\(mean logit\) +0\.5099 +0\.0111 +0\.6935 +baseline$/);
      expect(table.join(' ').replaceAll(/\s+/g, ' ')).toContain(
        'lightgbm to mlp and the baselines below: 137,544 rows of 276 sessions; meta and the baselines below: 75,082 rows of 151 sessions',
      );
      const body = table.slice(0, table.indexOf('Where to look'));
      expect(body.filter((line) => line.length > columns)).toEqual([]);
    },
  );

  it('says why nothing is said of a series, one line a reason, with the figures that are lacking', () => {
    const undecided = [
      { why: '3 of 20 sessions', series: ['volumeRank'] },
      { why: '40 of 60 past windows', series: ['p_meta', 'p_mlp'] },
      { why: 'constant in the baseline', series: ['isMonday', 'isFriday', 'isEarlyClose', 'monthEnd'] },
    ];
    const drift = { ...real.drift, notEnoughData: 7, undecided };
    const told = renderReport({ ...real, drift });
    expect(told).toContain('  not enough data for volumeRank: 3 of 20 sessions');
    expect(told).toContain('  not enough data for p_meta, p_mlp: 40 of 60 past windows');
    expect(told).toContain('  not enough data for isMonday and 3 more: constant in the baseline');
    expect(renderReport({ ...real, drift: { ...real.drift, undecided: [] } }).join('\n')).not.toContain(
      'not enough data for',
    );
  });

  it('shows the backtest beside its benchmarks, costs and deflation said', () => {
    expect(text).toContain('Backtest, walk-forward 2017-01-04 to 2018-02-07, 276 sessions');
    expect(text).toMatch(/ {2}meta +\+5\.4 % +-9\.5 % +-4\.45 \[-7\.03, -2\.44\] +0\.00 +10\.0 % +1\.7/);
    expect(text).toMatch(/\(buyAndHold\) +\+16\.4 %/);
    expect(flat).toContain('the 3 base models, net: -10.1 % (catboost) to -19.4 % (extraTrees)');
    expect(flat).toContain('holds overnight, without dividends and costs');
    expect(flat).toContain('505 matured tonight, 0 wait for their outcome');
    expect(flat).toContain('returns lack dividends');
  });

  it('says how likely the choice of the best is overfitted, and what the quarters issued in time were worth', () => {
    const overfitting = {
      probability: 0.41,
      reason: null,
      words: 'Probability of backtest overfitting 0.41: of 12,870 ways to choose.',
      series: 10,
      earlierTrials: 0,
      earlierTrialsLeftOut: 0,
      duplicates: 0,
      leftOut: [],
      firstSession: '2017-01-09',
      lastSession: '2018-02-07',
      sessions: 272,
      subBlocks: 16,
      combinations: 12_870,
      medianLogit: 0.2,
      probabilityOfLoss: 0.6,
      sharpeWhereChosen: 1.2,
      sharpeElsewhere: -0.4,
    };
    const opening = (quarter: string, openedTonight: boolean) => ({
      quarter,
      openedSession: '2018-01-02',
      openedTonight,
      sessions: 61,
      calendarSessions: 63,
      predictions: 30_805,
      withoutOutcome: 0,
      ic: { value: 0.01, low: -0.01, high: 0.03 },
      logLoss: 0.692,
      baseRateLogLoss: 0.6932,
      logLossGain: { value: 0.0001, low: null, high: null },
      verdict: 'no_edge' as const,
      trials: 40,
      words: `Holdout ${quarter}, opened once.`,
    });
    const closed = [{ quarter: '2018-Q1', sessions: 1, predictions: 505, why: 'the quarter is not over' }];
    const shown = (holdout: object) =>
      renderReport(runReportSchema.parse({ ...real, backtest: { ...real.backtest, overfitting, holdout } }))
        .join('\n')
        .replaceAll(/\s+/g, ' ');
    const tonight = shown({ opened: [opening('2017-Q3', false), opening('2017-Q4', true)], closed });
    expect(tonight).toContain('Probability of backtest overfitting 0.41: of 12,870 ways to choose.');
    expect(tonight).toContain('Holdout 2017-Q4, opened once.');
    expect(tonight).not.toContain('2017-Q3');
    expect(tonight).toContain(
      'Holdout 2018-Q1: closed, the quarter is not over; 505 predictions of 1 session so far',
    );
    expect(shown({ opened: [opening('2017-Q3', false)], closed: [] })).toContain('Holdout 2017-Q3, opened');
    expect(shown({ opened: [], closed: [] })).toContain(
      'no prediction was issued before its outcome existed',
    );
    expect(flat).not.toContain('Holdout');
  });

  it('says when the anchored baseline was set tonight, and why', () => {
    const anchored = (setTonight: boolean) =>
      renderReport({
        ...real,
        drift: {
          ...real.drift,
          anchoredBaseline: { first: '2015-01-02', last: '2017-12-01', setTonight, why: 'members changed' },
        },
      }).join('\n');
    expect(anchored(true)).toContain(
      'anchored baseline set tonight, 2015-01-02 to 2017-12-01: members changed',
    );
    expect(anchored(false)).not.toContain('anchored baseline');
  });

  it('leaves the backtest out where there is none', () => {
    expect(renderReport({ ...real, backtest: null }).join('\n')).not.toContain('Backtest');
  });

  it('prints what each model looks at, sizes, and what lies elsewhere', () => {
    const models = real.models.map((model) => ({
      ...model,
      topFeatures: model.name === 'meta' ? [] : [{ feature: 'smaGap200', share: 0.0744 }],
    }));
    const sizes = {
      databaseBytes: 79_400_000,
      artifactBytes: null,
      temporalBytes: 5_900_000,
      logBytes: 430_000,
      totalBytes: 85_730_000,
      freeBytes: 64_700_000_000,
    };
    const full = renderReport({ ...real, models, sizes }).join('\n');
    expect(full).toMatch(/lightgbm +smaGap200 7 %/);
    expect(full).not.toMatch(/meta +smaGap200/);
    expect(full).toContain(
      'database 75.7 MiB, artifacts elsewhere, temporal 5.6 MiB, logs 419.9 KiB, total 81.8 MiB; 60.3 GiB free',
    );
  });

  it.each([80, 120])('says on how few rows the models were explained, %i columns', (columns) => {
    const explainedOn = (explainedRows: number | null | undefined) => {
      const models = real.models.map((model) => ({
        ...model,
        topFeatures: model.name === 'meta' ? [] : [{ feature: 'smaGap200', share: 0.0744 }],
        ...(explainedRows === undefined
          ? {}
          : { explainedRows: model.name === 'meta' ? null : explainedRows }),
      }));
      const lines = renderReport({ ...real, models }, { columns });
      expect(lines.slice(0, lines.indexOf('Where to look')).filter((line) => line.length > columns)).toEqual(
        [],
      );
      return lines.join(' ').replaceAll(/\s+/g, ' ');
    };
    expect(explainedOn(90)).toContain(
      'explained on 90 rows only, all that the newest test block has so far (100 where it has more)',
    );
    for (const enough of [100, null, undefined]) expect(explainedOn(enough)).not.toContain('explained on');
  });

  it('fits a terminal of 80 columns, links apart, and still shows every model', () => {
    const narrow = renderReport(real, { columns: 80 });
    const body = narrow.slice(0, narrow.indexOf('Where to look'));
    expect(body.filter((line) => line.length > 80)).toEqual([]);
    expect(body.join('\n')).toMatch(/meta +0\.5136 +0\.0229 \[0\.0090, 0\.0377\] +0\.6928 +no_edge/);
  });

  it('shows the strongest of both sides with their reasons when signals were issued', () => {
    const signals = real.signals.map((signal, index) => ({
      ...signal,
      ...(index < 6
        ? { signal: 'buy' as const, reading: 'outperform' as const }
        : index > 11
          ? { signal: 'sell' as const, reading: 'underperform' as const }
          : {}),
      reasons: [
        { feature: 'return5', value: 0.02, contribution: 0.0312 },
        { feature: 'smaGap200', value: -0.1, contribution: -0.0104 },
      ],
    }));
    const issued = renderReport({ ...real, signals }).join('\n');
    expect(issued).toContain('Signals for 2018-02-08 (8 issued, 14 symbols)');
    expect(issued).toMatch(/ 1 +TXN +outperform +0\.5452 +return5 \+0\.031, smaGap200 -0\.010/);
    expect(issued.match(/underperform/g)).toHaveLength(2);
    expect(issued.match(/ outperform/g)).toHaveLength(5);
  });
});
