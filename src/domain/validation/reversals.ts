import { percent, price } from './findings.ts';
import type { ValidationRules } from './rules.ts';
import { gapScale, type Series } from './series.ts';

/** A bar that stands apart from both neighbours, with a gap out and a gap back. */
interface IsolatedBar {
  readonly series: Series;
  readonly at: number;
  /** The smaller of the two gaps, in scales. */
  readonly strength: number;
}

/** A session on which many bars were isolated. */
export interface ReversalWave {
  readonly session: number;
  readonly symbols: number;
}

/**
 * One-day reversals: the whole bar lies above or below both neighbours (ranges do not even touch),
 * it opened with a gap, and the next session opened with a gap back. Real markets turn during the
 * day; a price of another day, unit or symbol does not. Known at the close of the next session.
 *
 * If many symbols do so on one session the session's data is wrong, and smaller ones count too.
 */
export function findReversals(input: {
  readonly series: readonly Series[];
  readonly symbolsBySession: Int32Array;
  readonly sessionDays: Int32Array;
  readonly rules: ValidationRules;
}): readonly ReversalWave[] {
  const { series, symbolsBySession, sessionDays, rules } = input;
  const isolated = series.flatMap((one) => findIsolated(one, rules));
  const counts = new Map<number, number>();
  for (const { series: one, at, strength } of isolated) {
    const session = one.sessions[at] ?? 0;
    // Only those known the very next session can make a wave that is known then.
    if (strength >= rules.reversalCounted && one.sessions[at + 1] === session + 1) {
      counts.set(session, (counts.get(session) ?? 0) + 1);
    }
  }
  const isWave = (session: number): boolean => {
    const count = counts.get(session) ?? 0;
    return count >= rules.waveMinSymbols && count >= rules.waveMinShare * (symbolsBySession[session] ?? 0);
  };
  const found = new Map<number, number>();
  for (const bar of isolated) {
    const session = bar.series.sessions[bar.at] ?? 0;
    const wave = isWave(session);
    if (bar.strength < (wave ? rules.reversalInWave : rules.reversalAlone)) continue;
    const alone = bar.strength >= rules.reversalAlone;
    if (wave) found.set(session, (found.get(session) ?? 0) + 1);
    report({ bar, code: alone ? 'oneDayReversal' : 'marketWideReversal', counts, sessionDays });
  }
  return [...found].map(([session, symbols]) => ({ session, symbols }));
}

function findIsolated(series: Series, rules: ValidationRules): IsolatedBar[] {
  const { bars, rows, sessions, gaps } = series;
  const { high, low, close, open } = bars;
  const found: IsolatedBar[] = [];
  for (let at = 1; at < rows.length - 1; at++) {
    const gapOut = gaps[at] ?? Number.NaN;
    const gapBack = gaps[at + 1] ?? Number.NaN;
    // False for NaN too: without a neighbour nothing can be said.
    if (!(gapOut * gapBack < 0)) continue;
    const smaller = Math.min(Math.abs(gapOut), Math.abs(gapBack));
    if (smaller < rules.reversalInWave * rules.scaleFloor) continue;
    const row = rows[at] ?? 0;
    const before = rows[at - 1] ?? 0;
    const after = rows[at + 1] ?? 0;
    const above = low[row]! > Math.max(high[before]!, high[after]!);
    const below = high[row]! < Math.min(low[before]!, low[after]!);
    if (!above && !below) continue;
    if (sessions[at + 1]! - sessions[at]! > rules.neighbourMaxSessions) continue;
    const remainder = Math.abs(Math.log(open[after]! / close[before]!));
    if (remainder >= rules.reversalMaxRemainder * smaller) continue;
    const strength = smaller / gapScale(series, at, rules);
    if (strength >= rules.reversalInWave) found.push({ series, at, strength });
  }
  return found;
}

function report(input: {
  readonly bar: IsolatedBar;
  readonly code: 'oneDayReversal' | 'marketWideReversal';
  readonly counts: ReadonlyMap<number, number>;
  readonly sessionDays: Int32Array;
}): void {
  const { bar, code, counts, sessionDays } = input;
  const { bars, rows, sessions, gaps, findings } = bar.series;
  const session = sessions[bar.at] ?? 0;
  const row = rows[bar.at] ?? 0;
  const moves = `opens ${percent(gaps[bar.at] ?? 0)} away, ${percent(gaps[bar.at + 1] ?? 0)} back the next session`;
  const others = counts.get(session) ?? 0;
  const company = others > 1 ? `; ${others} symbols do so on this session` : '';
  findings.add({
    row,
    code,
    reason: `the bar ${price(bars.low[row]!)} to ${price(bars.high[row]!)} touches neither neighbour: ${moves} (${bar.strength.toFixed(1)} times the usual gap)${company}`,
    knownDay: sessionDays[sessions[bar.at + 1] ?? 0] ?? 0,
  });
}
