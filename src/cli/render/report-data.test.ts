import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type RunReport, runReportSchema } from '../../contracts/schemas/report.ts';
import { dataSection } from './report-data.ts';

const report = runReportSchema.parse(
  JSON.parse(readFileSync(new URL('./testdata/report-sp500.json', import.meta.url), 'utf8')),
);

function withReviews(reasons: readonly string[], open = reasons.length): RunReport {
  const tasks = report.tasks.map((task) =>
    task.task === 'ingestion'
      ? {
          ...task,
          result: { ...task.result, reviews: reasons.map((reason) => ({ reason })), reviewsOpen: open },
        }
      : task,
  );
  return { ...report, tasks };
}

describe('questions about splits and tickers', () => {
  const words = (given: RunReport): string => dataSection(given, 80).join(' ').replaceAll(/\s+/g, ' ');

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
