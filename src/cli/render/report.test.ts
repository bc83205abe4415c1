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
    expect(text).toMatch(/5 driftMonitoring +failed +– +3 attempts +no baseline/);
  });

  it('shows metrics with intervals beside the baselines, a dash for what is missing, and the verdict in words', () => {
    expect(text).toMatch(/meta +0\.5123 \[0\.4900, 0\.5300\] +– +0\.6907 +no_edge/);
    expect(text).toMatch(/\(base rate\) +– +– +0\.6932 +baseline/);
    expect(text).toContain('no edge over the base rate was found');
  });

  it('says that a ranking without edge is no signal, and that the universe is biased', () => {
    expect(text).toContain('Ranking for the next session, no signals (0 issued, 1 symbols)');
    expect(text).toContain('verdict no_edge');
    expect(text).toContain('Survivorship: biased');
  });

  it('ends with the links', () => {
    expect(text).toContain('night: http://127.0.0.1:8233/x');
  });
});
