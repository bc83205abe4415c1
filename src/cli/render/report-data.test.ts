import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type RunReport, runReportSchema } from '../../contracts/schemas/report.ts';
import { dataSection } from './report-data.ts';

const report = runReportSchema.parse(
  JSON.parse(readFileSync(new URL('./testdata/report-sp500.json', import.meta.url), 'utf8')),
);

type Result = NonNullable<RunReport['tasks'][number]['result']>;

function withResult(part: Result): RunReport {
  const tasks = report.tasks.map((task) =>
    task.task === 'ingestion' ? { ...task, result: { ...task.result, ...part } } : task,
  );
  return { ...report, tasks };
}

const withReviews = (reasons: readonly string[], open = reasons.length): RunReport =>
  withResult({ reviews: reasons.map((reason) => ({ reason })), reviewsOpen: open });

const words = (given: RunReport): string => dataSection(given, 80).join(' ').replaceAll(/\s+/g, ' ');

describe('questions about splits and tickers', () => {
  it('are named with what to do', () => {
    const reasons = ['split 2:1 of SF on 2018-01-31: why', 'REUSED had no bar for 58 sessions'];
    expect(words(withReviews(reasons))).toContain(
      `to be decided: 2 questions (\`nightshift quarantine list\`): ${reasons.join('; ')}`,
    );
    expect(words(withReviews(['a', 'b', 'c', 'd', 'e', 'f'], 40))).toContain(': a; b; c; d; e and 35 more');
  });

  it('are not mentioned where there are none', () => {
    expect(words(report)).not.toContain('to be decided');
    expect(words(withReviews([]))).not.toContain('to be decided');
  });
});

describe('symbols without a bar', () => {
  const absent = (symbol: string, name: string, sessions: number) => ({ symbol, class: name, sessions });

  it('are named by class with how long, the gravest first, and those that are not named are counted', () => {
    const one = { absent: [absent('XYZ', 'halted', 3)], absentByClass: { halted: 1 } };
    expect(words(withResult(one))).toContain('no bar on 2018-02-07: 1 halted (XYZ, 3 sessions) rows:');
    const many = {
      absent: [
        absent('AAA', 'range', 1),
        ...['H1', 'H2', 'H3', 'H4', 'H5', 'H6'].map((symbol) => absent(symbol, 'halted', 1)),
        absent('ZZZ', 'delisted', 1025),
      ],
      absentByClass: { delisted: 1, halted: 40, range: 1 },
    };
    expect(words(withResult(many))).toContain(
      'no bar on 2018-02-07: 1 delisted (ZZZ, 1,025 sessions), 40 halted (H1, 1 session; H2, 1 session; ' +
        'H3, 1 session; H4, 1 session; H5, 1 session and 35 more), 1 out of range (AAA, 1 session)',
    );
  });

  it('are counted where none of their class is among those that the result names', () => {
    expect(words(withResult({ absent: [], absentByClass: { unknown: 2 } }))).toContain(
      'no bar on 2018-02-07: 2 unknown rows:',
    );
  });

  it('are not mentioned where there are none, nor in a result from before they were counted', () => {
    expect(words(withResult({ absent: [], absentByClass: {} }))).not.toContain('no bar on');
    expect(words(report)).not.toContain('no bar on');
  });
});
