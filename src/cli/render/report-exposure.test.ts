import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type ReportExposure, type RunReport, runReportSchema } from '../../contracts/schemas/report.ts';
import { renderReport } from './report.ts';

const real: RunReport = runReportSchema.parse(
  JSON.parse(readFileSync(new URL('testdata/report-sp500.json', import.meta.url), 'utf8')),
);
const exposure: ReportExposure = {
  beta: { top: 1.204, universe: 1, difference: { value: 0.204, low: 0.15, high: 0.26 } },
  sizeRank: { top: 0.47, difference: { value: -0.03, low: -0.08, high: 0.02 } },
  sectors: [
    { sector: 'Energy', top: 0.151, universe: 0.064 },
    { sector: 'Financials', top: 0.13, universe: 0.131 },
    { sector: 'Industrials', top: 0.13, universe: 0.14 },
    { sector: 'Materials', top: 0.07, universe: 0.05 },
    { sector: 'Real Estate', top: 0.09, universe: 0.066 },
    { sector: 'Utilities', top: 0.01, universe: 0.056 },
  ],
};

/** The backtest part of the real night with this exposure of the stack, as one line. */
function shown(topDecileExposure: ReportExposure | null, columns = 120): string {
  const models = real.backtest?.models?.map((model) =>
    model.model === 'meta' ? { ...model, topDecileExposure } : model,
  );
  const lines = renderReport({ ...real, backtest: { ...real.backtest, models } }, { columns });
  const body = lines.slice(0, lines.indexOf('Where to look'));
  expect(body.filter((line) => line.length > columns)).toEqual([]);
  return lines
    .slice(lines.findIndex((line) => line.startsWith('Backtest')))
    .join(' ')
    .replaceAll(/\s+/g, ' ');
}

describe('exposure of the top decile in the report', () => {
  it.each([80, 120])('says beta, size and the largest sector tilts in words, %i columns', (columns) => {
    const text = shown(exposure, columns);
    expect(text).toContain(
      'top decile of the stack beside all scored symbols: beta to the equal-weight universe 1.20 beside 1.00, ' +
        'difference +0.20 [+0.15, +0.26]: a bet on high beta; ',
    );
    expect(text).toContain(
      'size rank by dollar volume 0.47 (0 smallest, 1 largest, all 0.50), difference -0.03 [-0.08, +0.02]: ' +
        'no tilt that could be told from zero; ',
    );
    expect(text).toContain(
      'largest sector tilts: more Energy (15.1 % beside 6.4 %), less Utilities (1.0 % beside 5.6 %), ' +
        'more Real Estate (9.0 % beside 6.6 %), more Materials (7.0 % beside 5.0 %) ',
    );
    expect(text).not.toContain('Financials');
  });

  it('names the other directions, and what is not known', () => {
    const { sectors } = exposure;
    const low = { value: -0.2, low: -0.3, high: -0.1 };
    const text = shown({
      beta: { top: 0.8, universe: 1, difference: low },
      sizeRank: { top: 0.3, difference: low },
      sectors: sectors.map((one) => ({ ...one, top: one.universe })),
    });
    expect(text).toContain('[-0.30, -0.10]: a bet on low beta;');
    expect(text).toContain('[-0.30, -0.10]: smaller companies; sectors as in the universe');
    const none = { value: null, low: null, high: null };
    const unknown = shown({
      beta: { top: null, universe: null, difference: none },
      sizeRank: { top: 0.6, difference: { value: 0.1, low: null, high: null } },
      sectors,
    });
    expect(unknown).toContain('symbols: beta unknown; size rank by dollar volume 0.60');
    expect(unknown).toContain('difference +0.10: too few sessions for an interval');
  });

  it('says that a stack without predictions has none, and nothing of a night that did not measure it', () => {
    expect(shown(null)).toContain('top decile of the stack: none, it has no predictions out of sample yet');
    expect(renderReport(real).join('\n')).not.toContain('top decile');
  });
});
