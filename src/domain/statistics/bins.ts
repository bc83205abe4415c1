const BUCKETS = 1024;

/** Ascending edges with a table that says between which of them a value lies. */
export interface BinSearch {
  readonly edges: Float64Array;
  /** Buckets of equal width from the first edge to the last; 0: one bucket for all. */
  readonly bucketsPerUnit: number;
  /** Edges in the buckets before this one. */
  readonly starts: Uint32Array;
}

/** Prepares edges (ascending, no NaN) for many searches. */
export function prepareBinSearch(edges: Float64Array): BinSearch {
  const first = edges[0] ?? 0;
  const width = BUCKETS / ((edges.at(-1) ?? 0) - first);
  // A single edge, an infinite one, or edges too close or too far apart for the arithmetic: one bucket.
  const bucketsPerUnit = width > 0 && Number.isFinite(width) ? width : 0;
  const starts = new Uint32Array(BUCKETS + 1);
  for (let i = 0; i < edges.length; i += 1) {
    const after = bucketOf(edges[i] as number, first, bucketsPerUnit) + 1;
    starts[after] = (starts[after] as number) + 1;
  }
  for (let b = 1; b <= BUCKETS; b += 1) starts[b] = (starts[b] as number) + (starts[b - 1] as number);
  return { edges, bucketsPerUnit, starts };
}

/** Never smaller for a larger value: an edge in an earlier bucket is below a value, one in a later bucket above. */
function bucketOf(value: number, first: number, bucketsPerUnit: number): number {
  const bucket = ((value - first) * bucketsPerUnit) | 0;
  return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

/**
 * Adds the values of rows `from .. to` to counts by bin, bin i being edges[i-1] <= x < edges[i] with open ends; the
 * last slot counts the missing ones (NaN).
 */
export function countIntoBins(
  counts: Int32Array,
  rows: { readonly values: Float32Array | Float64Array; readonly from: number; readonly to: number },
  { edges, bucketsPerUnit, starts }: BinSearch,
): void {
  const { values, from, to } = rows;
  const bins = edges.length;
  const first = edges[0] ?? 0;
  const last = edges[bins - 1] ?? 0;
  for (let row = from; row < to; row += 1) {
    const value = values[row] as number;
    let slot = 0;
    if (value !== value) slot = counts.length - 1;
    else if (bins > 0 && value >= last) slot = bins;
    else if (bins > 0 && value >= first) {
      const bucket = bucketOf(value, first, bucketsPerUnit);
      slot = starts[bucket] as number;
      let high = starts[bucket + 1] as number;
      while (slot < high) {
        const middle = (slot + high) >>> 1;
        if ((edges[middle] as number) <= value) slot = middle + 1;
        else high = middle;
      }
    }
    counts[slot] = (counts[slot] as number) + 1;
  }
}
