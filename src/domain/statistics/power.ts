import { logGamma, normalCdf, studentTSf } from './special.ts';

/** Intervals of Simpson's rule over the distribution of a standard error; even. */
const STEPS = 400;

/** Value that Student's t exceeds with probability `tail` (0 < tail < 0.5). */
export function studentTUpper(tail: number, degrees: number): number {
  if (!(tail > 0 && tail < 0.5) || !(degrees > 0)) return Number.NaN;
  let high = 1;
  while (studentTSf(high, degrees) > tail) high *= 2;
  return bisect(0, high, (t) => studentTSf(t, degrees) <= tail);
}

/** P(T > bound) for a noncentral t: a normal mean `shift` standard errors above 0, the error estimated. */
export function noncentralTSf(bound: number, shift: number, degrees: number): number {
  // P = E[Φ(shift − bound·s)] over s = sqrt(χ²/degrees), the estimated over the true error.
  const half = degrees / 2;
  const logNorm = Math.LN2 + half * Math.log(half) - logGamma(half);
  const last = 1 + 9 / Math.sqrt(degrees);
  const step = last / STEPS;
  let sum = 0;
  for (let i = 0; i <= STEPS; i += 1) {
    const s = i * step;
    const power = degrees === 1 ? 0 : (degrees - 1) * Math.log(s);
    const density = Math.exp(logNorm + power - half * s * s);
    const weight = i === 0 || i === STEPS ? 1 : 2 + 2 * (i % 2);
    sum += weight * density * normalCdf(shift - bound * s);
  }
  return (sum * step) / 3;
}

/** Shifts by test: all models of a report, and the reports of many nights, are judged by the same one. */
const knownShifts = new Map<string, number>();
const MOST_KNOWN_SHIFTS = 64;

/** Standard errors above 0 at which a one-sided test of level `tail` is passed with probability `power`. */
export function detectableShift(test: { tail: number; degrees: number; power: number }): number {
  const key = `${test.tail} ${test.degrees} ${test.power}`;
  const known = knownShifts.get(key);
  if (known !== undefined) return known;
  const shift = findShift(test);
  if (knownShifts.size >= MOST_KNOWN_SHIFTS) knownShifts.clear();
  knownShifts.set(key, shift);
  return shift;
}

function findShift({ tail, degrees, power }: { tail: number; degrees: number; power: number }): number {
  const bound = studentTUpper(tail, degrees);
  if (Number.isNaN(bound)) return Number.NaN;
  return bisect(0, 2 * bound + 5, (shift) => noncentralTSf(bound, shift, degrees) >= power);
}

/** The point from which on `holds` is true, to 1e-10 of the range. */
function bisect(low: number, high: number, holds: (x: number) => boolean): number {
  let [a, b] = [low, high];
  for (let i = 0; i < 34; i += 1) {
    const middle = (a + b) / 2;
    if (holds(middle)) b = middle;
    else a = middle;
  }
  return (a + b) / 2;
}
