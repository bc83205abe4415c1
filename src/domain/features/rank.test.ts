import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { crossSectionalRank } from './rank.ts';

function rank(values: readonly number[]): number[] {
  const input = Float32Array.from(values);
  const out = new Float64Array(input.length);
  crossSectionalRank(input, out, new Float32Array(input.length));
  return [...out];
}

const twenty = Array.from({ length: 20 }, (_, i) => i);

describe('cross-sectional rank', () => {
  it('is (average rank - 0.5) / n, ties sharing a rank', () => {
    expect(rank(twenty)[0]).toBeCloseTo(0.5 / 20, 12);
    expect(rank(twenty)[19]).toBeCloseTo(19.5 / 20, 12);
    const tied = rank([...twenty, 3, 3]);
    expect(tied[3]).toBeCloseTo((5 - 0.5) / 22, 12);
    expect([tied[20], tied[21]]).toEqual([tied[3], tied[3]]);
    expect(new Set(rank(twenty.map(() => -0)))).toEqual(new Set([0.5]));
  });

  it('asks for 60 % of the members that are listed', () => {
    const values = Float32Array.from([...twenty, ...Array.from({ length: 20 }, () => Number.NaN)]);
    const out = new Float64Array(values.length);
    crossSectionalRank(values, out, new Float32Array(values.length));
    expect(out[0]).toBeNaN();
    crossSectionalRank(values, out, new Float32Array(values.length), 33);
    expect(out[0]).toBeCloseTo(0.5 / 20, 12);
    crossSectionalRank(values, out, new Float32Array(values.length), 34);
    expect(out[0]).toBeNaN();
  });

  it('needs 20 members and 60 % of them', () => {
    const gaps = (count: number): number[] => Array.from({ length: count }, () => Number.NaN);
    expect(rank(twenty.slice(1)).every(Number.isNaN)).toBe(true);
    expect(rank([...twenty, ...gaps(13)])[0]).toBeCloseTo(0.5 / 20, 12);
    expect(rank([...twenty, ...gaps(14)]).every(Number.isNaN)).toBe(true);
    expect(rank([...twenty, ...gaps(13)])[25]).toBeNaN();
  });

  it('keeps order, averages 0.5 and ignores monotone changes', () => {
    const values = fc.array(fc.integer({ min: -30, max: 30 }), { minLength: 20, maxLength: 60 });
    fc.assert(
      fc.property(values, (sample) => {
        const ranks = rank(sample);
        expect(ranks.reduce((a, b) => a + b, 0) / ranks.length).toBeCloseTo(0.5, 12);
        for (const [i, x] of sample.entries()) {
          for (const [j, y] of sample.entries()) {
            if (Math.sign(x - y) !== Math.sign(ranks[i]! - ranks[j]!)) throw new Error('order broken');
          }
        }
        expect(rank(sample.map((x) => Math.exp(x / 10)))).toEqual(ranks);
      }),
    );
  });
});
