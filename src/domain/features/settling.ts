/**
 * After how many sessions the start of a recursive average no longer shows. Its weight shrinks by `1 - weight` each
 * session, until it is below 1e-10: room for seeds that differ a hundredfold, within the promised 1e-8.
 */
export function settledAfter(weight: number, negligible = 1e-10): number {
  return Math.ceil(Math.log(negligible) / Math.log(1 - weight));
}

/** Sessions until an EMA (weight 2 / (period + 1)) has settled. */
export function emaSettled(period: number, negligible?: number): number {
  return settledAfter(2 / (period + 1), negligible);
}

/** Sessions until Wilder's average (weight 1 / period) has settled; 249 of them would do for 1e-8 at 14. */
export function wilderSettled(period: number, negligible?: number): number {
  return settledAfter(1 / period, negligible);
}
