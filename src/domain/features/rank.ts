/** A session's ranks need at least this many members with a value, and this share of the members listed by then. */
export const MIN_RANKED_MEMBERS = 20;
export const MIN_RANKED_SHARE = 0.6;

/**
 * Cross-sectional rank of each member: (average rank - 0.5) / n over the n members that have a value, so that
 * ties share a rank and the mean is 0.5. All NaN when n < max(20, 60 % of the `listed` members). The values are float32, so
 * that the last digits of a double decide no tie. `scratch` (as long as `values`) is overwritten.
 */
export function crossSectionalRank(
  values: Float32Array,
  out: Float32Array | Float64Array,
  scratch: Float32Array,
  listed = values.length,
): void {
  let count = 0;
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i]!;
    if (Number.isNaN(value)) continue;
    scratch[count] = value;
    count += 1;
  }
  out.fill(Number.NaN);
  if (count < Math.max(MIN_RANKED_MEMBERS, MIN_RANKED_SHARE * listed)) return;
  const sorted = scratch.subarray(0, count).sort();
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i]!;
    if (Number.isNaN(value)) continue;
    const first = lowerBound(sorted, value);
    let last = first;
    while (last + 1 < count && sorted[last + 1]! <= value) last += 1;
    out[i] = ((first + last) / 2 + 0.5) / count;
  }
}

/** First index whose value is not below `value`; halves without branching on the comparison. */
function lowerBound(sorted: Float32Array, value: number): number {
  let base = 0;
  for (let length = sorted.length; length > 1; ) {
    const half = length >> 1;
    base += half * Number(sorted[base + half - 1]! < value);
    length -= half;
  }
  return base + Number(base < sorted.length && sorted[base]! < value);
}
