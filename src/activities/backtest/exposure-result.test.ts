import { describe, expect, it } from 'vitest';
import { reportExposureSchema } from '../../contracts/schemas/report.ts';
import { topDecileExposure } from '../../domain/backtest/exposure.ts';
import { exposureResult } from './exposure-result.ts';

const bootstrap = { blockLength: 10, replicates: 50, seed: 1 };

/** Twenty symbols in forty sessions; the two with the highest probability are small, risky and in tech. */
function exposureOf(probabilityOf: (symbol: number) => number) {
  const cells = Array.from({ length: 800 }, (_, row) => ({
    session: Math.floor(row / 20),
    symbol: row % 20,
  }));
  const column = (pick: (symbol: number) => number) => Float64Array.from(cells, ({ symbol }) => pick(symbol));
  return topDecileExposure(
    {
      session: Int32Array.from(cells, ({ session }) => session),
      symbol: Int32Array.from(cells, ({ symbol }) => symbol),
      probability: column(probabilityOf),
    },
    {
      characteristics: {
        beta: column((symbol) => (symbol >= 18 ? 1.9 : 0.9)),
        size: column((symbol) => 100 - symbol),
      },
      sectorOfSymbol: Array.from({ length: 20 }, (_, symbol) => (symbol >= 18 ? 'Tech' : 'Utilities')),
      bootstrap,
    },
  );
}

describe('exposureResult', () => {
  it('has beta, size and sectors of the top decile beside all, as the published schema says', () => {
    const result = exposureResult(exposureOf((symbol) => symbol / 20));
    expect(reportExposureSchema.parse(JSON.parse(JSON.stringify(result)))).toEqual(result);
    expect(result?.beta.top).toBeCloseTo(1.9, 12);
    expect(result?.beta.universe).toBeCloseTo(1, 12);
    expect(result?.beta.difference.value).toBeCloseTo(0.9, 12);
    // The smallest two of twenty: ranks 0.5 / 20 and 1.5 / 20.
    expect(result?.sizeRank.top).toBeCloseTo(0.05, 12);
    expect(result?.sizeRank.difference.value).toBeCloseTo(-0.45, 12);
    expect(result?.sectors).toEqual([
      { sector: 'Tech', top: 1, universe: 0.1 },
      { sector: 'Utilities', top: 0, universe: 0.9 },
    ]);
  });

  it('is null for a model that predicted nothing', () => {
    expect(exposureResult(exposureOf(() => Number.NaN))).toBeNull();
  });
});
