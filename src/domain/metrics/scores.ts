/** Smallest distance of a probability from 0 and 1 in a logarithm: the float64 epsilon, as in scikit-learn. */
const EPSILON = 2 ** -52;

/** Negative log likelihood of one row; `target` 0 or 1. */
export function logLossOf(target: number, probability: number): number {
  const p = Math.min(1 - EPSILON, Math.max(EPSILON, probability));
  return target === 1 ? -Math.log(p) : -Math.log1p(-p);
}

/** Squared error of one probability. */
export function brierOf(target: number, probability: number): number {
  return (target - probability) ** 2;
}

/** Whether the more probable class happened; exactly one half predicts class 0, as an argmax does. */
export function isCorrect(target: number, probability: number): boolean {
  return (probability > 0.5 ? 1 : 0) === target;
}

/** ln(p / (1 - p)), kept finite. */
export function logit(probability: number): number {
  const p = Math.min(1 - 1e-12, Math.max(1e-12, probability));
  return Math.log(p) - Math.log1p(-p);
}
