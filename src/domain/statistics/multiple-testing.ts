/** Benjamini-Hochberg adjusted p-values, in input order; reject where adjusted <= the false discovery rate. */
export function benjaminiHochberg(pValues: readonly number[]): number[] {
  const order = pValues.map((_, i) => i).sort((a, b) => (pValues[b] as number) - (pValues[a] as number));
  const adjusted = Array.from<number>({ length: pValues.length });
  let smallest = 1;
  order.forEach((index, position) => {
    const rank = pValues.length - position;
    smallest = Math.min(smallest, ((pValues[index] as number) * pValues.length) / rank);
    adjusted[index] = smallest;
  });
  return adjusted;
}

/**
 * Holm's step-down adjusted p-values, in input order. `tests` (default: the number given) counts trials that
 * were made but have no p-value here; they keep the correction as strict as if they were present.
 */
export function holm(pValues: readonly number[], tests: number = pValues.length): number[] {
  if (tests < pValues.length) throw new RangeError(`tests must be >= ${pValues.length}, got ${tests}`);
  const order = pValues.map((_, i) => i).sort((a, b) => (pValues[a] as number) - (pValues[b] as number));
  const adjusted = Array.from<number>({ length: pValues.length });
  let largest = 0;
  order.forEach((index, position) => {
    largest = Math.max(largest, Math.min(1, (pValues[index] as number) * (tests - position)));
    adjusted[index] = largest;
  });
  return adjusted;
}
