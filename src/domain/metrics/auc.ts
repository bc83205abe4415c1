import { argsort } from '../statistics/sort.ts';

/** Area under the ROC curve and what each row contributes to its sampling error. */
export interface Auc {
  /** P(score of a one > score of a zero) + half the ties; NaN where one class is absent. */
  readonly auc: number;
  /**
   * Influence of each row (DeLong et al. 1988: its placement minus the AUC, over the size of its class). The
   * influences add up to 0; their resampled sums give the resampled AUC to first order.
   */
  readonly influence: Float64Array;
}

/** AUC of `score` for `target` (0 or 1, no NaN), ties counted half. */
export function rocAuc(target: Float64Array, score: Float64Array): Auc {
  const n = target.length;
  const order = argsort(score);
  let ones = 0;
  for (let i = 0; i < n; i += 1) ones += target[i] as number;
  const zeros = n - ones;
  const influence = new Float64Array(n);
  if (ones === 0 || zeros === 0) return { auc: Number.NaN, influence };
  let onesBelow = 0;
  let zerosBelow = 0;
  let concordant = 0;
  let start = 0;
  while (start < n) {
    const value = score[order[start] as number];
    let end = start;
    let onesHere = 0;
    while (end < n && score[order[end] as number] === value) {
      onesHere += target[order[end] as number] as number;
      end += 1;
    }
    const zerosHere = end - start - onesHere;
    const placementOfOne = (zerosBelow + zerosHere / 2) / zeros;
    const placementOfZero = 1 - (onesBelow + onesHere / 2) / ones;
    concordant += onesHere * placementOfOne;
    for (let i = start; i < end; i += 1) {
      const row = order[i] as number;
      influence[row] = target[row] === 1 ? placementOfOne : placementOfZero;
    }
    onesBelow += onesHere;
    zerosBelow += zerosHere;
    start = end;
  }
  const auc = concordant / ones;
  for (let row = 0; row < n; row += 1) {
    influence[row] = ((influence[row] as number) - auc) / (target[row] === 1 ? ones : zeros);
  }
  return { auc, influence };
}
