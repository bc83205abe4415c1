const BUCKETS = 2048;
const DIGIT_MASK = BUCKETS - 1;
const RADIX_MINIMUM = 1500;
const ARGSORT_RADIX_MINIMUM = 150;
const INSERTION_MAXIMUM = 40;
const SIGN = 0x80000000;

/** Whether the values are ascending (ties allowed). NaN anywhere makes it false, except in a sample of one. */
export function isAscending(values: ArrayLike<number>): boolean {
  for (let i = 1; i < values.length; i += 1) {
    if (!((values[i - 1] as number) <= (values[i] as number))) return false;
  }
  return true;
}

/**
 * A sorted copy of values without NaN. From some thousand values on it is a radix sort of the high words of
 * the doubles (sign, exponent, 20 bits), finished by insertion: several times faster than the built-in sort.
 */
export function sortAscending(values: Float64Array): Float64Array {
  const copy = new Float64Array(values);
  const n = copy.length;
  if (n < RADIX_MINIMUM) return copy.sort();
  if (isAscending(copy)) return copy;
  const pairs = new Uint32Array(copy.buffer);
  for (let i = 1; i < 2 * n; i += 2) pairs[i] = orderedKey(pairs[i] as number);
  const ordered = sortPairsByKey(pairs);
  for (let i = 1; i < 2 * n; i += 2) ordered[i] = originalKey(ordered[i] as number);
  const sorted = new Float64Array(ordered.buffer, 0, n);
  let movesLeft = 4 * n;
  for (let i = 1; i < n; i += 1) {
    const value = sorted[i] as number;
    let j = i - 1;
    while (j >= 0 && (sorted[j] as number) > value) {
      sorted[j + 1] = sorted[j] as number;
      j -= 1;
      movesLeft -= 1;
    }
    sorted[j + 1] = value;
    // Values that differ only in the low word (a narrow range) would make insertion quadratic.
    if (movesLeft < 0) return sorted.sort();
  }
  return sorted;
}

/** Row numbers in ascending order of `values` (no NaN); equal values keep their row order. */
export function argsort(values: Float64Array): Uint32Array {
  const n = values.length;
  const byValue = (a: number, b: number): number => {
    const x = values[a] as number;
    const y = values[b] as number;
    return x < y ? -1 : x > y ? 1 : a - b;
  };
  if (n < ARGSORT_RADIX_MINIMUM) {
    const order = new Uint32Array(n);
    for (let i = 0; i < n; i += 1) order[i] = i;
    return n <= INSERTION_MAXIMUM ? insertionArgsort(values, order) : order.sort(byValue);
  }
  const plain = new Float64Array(n);
  // Adding zero turns -0 into 0: the two are equal and must keep their row order.
  for (let i = 0; i < n; i += 1) plain[i] = (values[i] as number) + 0;
  const pairs = new Uint32Array(plain.buffer);
  for (let i = 0; i < n; i += 1) {
    pairs[2 * i + 1] = orderedKey(pairs[2 * i + 1] as number);
    pairs[2 * i] = i;
  }
  const ordered = sortPairsByKey(pairs);
  const order = new Uint32Array(n);
  for (let i = 0; i < n; i += 1) order[i] = ordered[2 * i] as number;
  let movesLeft = 4 * n;
  for (let i = 1; i < n; i += 1) {
    const row = order[i] as number;
    const value = values[row] as number;
    let j = i - 1;
    while (j >= 0 && (values[order[j] as number] as number) > value) {
      order[j + 1] = order[j] as number;
      j -= 1;
      movesLeft -= 1;
    }
    order[j + 1] = row;
    if (movesLeft < 0) return order.sort(byValue);
  }
  return order;
}

function insertionArgsort(values: Float64Array, order: Uint32Array): Uint32Array {
  for (let i = 1; i < order.length; i += 1) {
    const value = values[i] as number;
    let j = i - 1;
    while (j >= 0 && (values[order[j] as number] as number) > value) {
      order[j + 1] = order[j] as number;
      j -= 1;
    }
    order[j + 1] = i;
  }
  return order;
}

/** High word of a double → unsigned integer of the same order. */
function orderedKey(high: number): number {
  return (high & SIGN ? ~high : high | SIGN) >>> 0;
}

function originalKey(key: number): number {
  return (key & SIGN ? key & 0x7fffffff : ~key) >>> 0;
}

/** Stable sort of (payload, key) pairs by key, three digits of 11, 11 and 10 bits. May reuse the input. */
function sortPairsByKey(pairs: Uint32Array): Uint32Array {
  const n = pairs.length / 2;
  const first = new Uint32Array(BUCKETS);
  const second = new Uint32Array(BUCKETS);
  const third = new Uint32Array(BUCKETS);
  for (let i = 1; i < pairs.length; i += 2) {
    const key = pairs[i] as number;
    const a = key & DIGIT_MASK;
    const b = (key >>> 11) & DIGIT_MASK;
    const c = key >>> 22;
    first[a] = (first[a] as number) + 1;
    second[b] = (second[b] as number) + 1;
    third[c] = (third[c] as number) + 1;
  }
  let from: Uint32Array = pairs;
  let to: Uint32Array = new Uint32Array(pairs.length);
  const passes = [
    { counts: first, shift: 0 },
    { counts: second, shift: 11 },
    { counts: third, shift: 22 },
  ];
  for (const { counts, shift } of passes) {
    if (!countsToOffsets(counts, n)) continue;
    scatter(from, to, counts, shift);
    const swap = from;
    from = to;
    to = swap;
  }
  return from;
}

function scatter(from: Uint32Array, to: Uint32Array, offsets: Uint32Array, shift: number): void {
  for (let i = 0; i < from.length; i += 2) {
    const key = from[i + 1] as number;
    const bucket = (key >>> shift) & DIGIT_MASK;
    const position = offsets[bucket] as number;
    offsets[bucket] = position + 1;
    to[2 * position] = from[i] as number;
    to[2 * position + 1] = key;
  }
}

/** Turn counts into start offsets; false when one bucket holds everything and the pass can be skipped. */
function countsToOffsets(counts: Uint32Array, n: number): boolean {
  let sum = 0;
  for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
    const count = counts[bucket] as number;
    if (count === n) return false;
    counts[bucket] = sum;
    sum += count;
  }
  return true;
}
