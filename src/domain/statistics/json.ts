/** A number that JSON can carry: NaN and the infinities become null. */
export function toJsonNumber(value: number | null | undefined): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

/** `toJsonNumber` over a column; the result is a plain array. */
export function toJsonNumbers(values: ArrayLike<number>): (number | null)[] {
  return Array.from(values, toJsonNumber);
}
