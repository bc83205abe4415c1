import { expect, it } from 'vitest';
import reference from '../testdata/drift-reference.json' with { type: 'json' };
import { kolmogorovSf } from './kolmogorov.ts';

it('equals scipy kstwo.sf on every branch, n from 1 to 400,000', () => {
  expect(reference.kolmogorov.length).toBeGreaterThan(600);
  let worst = 0;
  for (const [n = 0, d = 0, expected = 0] of reference.kolmogorov) {
    worst = Math.max(worst, Math.abs(kolmogorovSf(n, d) - expected));
  }
  expect(worst).toBeLessThan(1e-9);
});

it('keeps relative accuracy in the far tail', () => {
  for (const [n = 0, d = 0, expected = 0] of reference.kolmogorov) {
    if (expected > 1e-100 && expected < 1e-3) {
      expect(Math.abs(kolmogorovSf(n, d) / expected - 1)).toBeLessThan(1e-6);
    }
  }
});

it('has no answer for n = 0 or a missing statistic', () => {
  expect(kolmogorovSf(0, 0.5)).toBeNaN();
  expect(kolmogorovSf(10, Number.NaN)).toBeNaN();
});
