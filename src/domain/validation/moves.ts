import { percent } from './findings.ts';
import type { ValidationRules } from './rules.ts';
import { gapScale, medianInPlace, type Series } from './series.ts';

/**
 * Notes on rows that are kept: jumps, shifts of the price level on ordinary volume (a split or
 * spin-off the prices do not know), bars without any movement. Known the same session.
 */
export function noteMoves(input: {
  readonly series: Series;
  readonly sessionDays: Int32Array;
  readonly rules: ValidationRules;
}): void {
  const { series, sessionDays, rules } = input;
  const { bars, rows, sessions, gaps, findings } = series;
  const { open, high, low, close } = bars;
  for (let at = 1; at < rows.length; at++) {
    const row = rows[at]!;
    const before = rows[at - 1]!;
    const ratio = close[row]! / close[before]!;
    // exp(0.15) = 1.16: the cheap test first, 99.9 % of rows end here.
    const unchanged = ratio === 1 && high[row] === low[row];
    if (!unchanged && ratio < 1.16 && ratio > 0.86 && Math.abs(gaps[at]!) < rules.shiftMin) continue;
    const knownDay = sessionDays[sessions[at] ?? 0] ?? 0;
    if (unchanged) {
      const reason = `all four prices are the close before (${close[row]})`;
      findings.add({ row, code: 'staleBar', reason, knownDay });
      continue;
    }
    // A way back from a row that is wrong is no news.
    if (findings.isSuspect(before, knownDay)) continue;
    const gap = gaps[at] ?? Number.NaN;
    const volumeRatio = volumeRatioOf(series, at, rules);
    if (isLevelShift(gap, volumeRatio, rules)) {
      const volumes = `on ${volumeRatio.toFixed(1)} times the usual volume`;
      const reason = `opened ${percent(gap)} away ${volumes}, too little for news: a split, spin-off or special dividend that these prices do not know?`;
      findings.add({ row, code: 'levelShift', reason, knownDay });
      continue;
    }
    const move = Math.log(ratio);
    const near = sessions[at]! - sessions[at - 1]! <= rules.neighbourMaxSessions;
    if (
      near &&
      Math.abs(move) >= rules.jumpMin &&
      Math.abs(move) >= rules.jumpScales * gapScale(series, at, rules)
    ) {
      const reason = `closed ${percent(move)} from ${close[before]} to ${close[row]} (open ${open[row]}, low ${low[row]}, high ${high[row]})`;
      findings.add({ row, code: 'jump', reason, knownDay });
    }
  }
}

/** News moves prices on many times the usual volume; an action on the share does not. */
function isLevelShift(gap: number, volumeRatio: number, rules: ValidationRules): boolean {
  if (Math.abs(gap) >= rules.shiftLarge) return volumeRatio < rules.shiftLargeMaxVolumeRatio;
  return gap <= -rules.shiftMin && volumeRatio < rules.shiftMaxVolumeRatio;
}

/** Volume against the median of the sessions before; infinite while there are too few of them. */
function volumeRatioOf({ bars, rows }: Series, at: number, rules: ValidationRules): number {
  if (at < rules.volumeSessions) return Number.POSITIVE_INFINITY;
  const before = Float64Array.from(
    rows.subarray(at - rules.volumeSessions, at),
    (row) => bars.volume[row] ?? 0,
  );
  const median = medianInPlace(before);
  return median > 0 ? (bars.volume[rows[at]!] ?? Number.NaN) / median : Number.POSITIVE_INFINITY;
}
