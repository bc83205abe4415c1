import { sessionDateOf } from '../bars.ts';
import { price } from './findings.ts';
import type { ValidationRules } from './rules.ts';
import { medianInPlace, type Series } from './series.ts';

/** The same prices on two sessions of one symbol. */
interface Repeat {
  readonly series: Series;
  readonly first: number;
  readonly second: number;
  readonly equalPrices: 3 | 4;
  readonly equalVolume: boolean;
}

export interface RepeatedSession {
  readonly session: number;
  readonly otherSession: number;
  readonly knownSession: number;
  readonly symbols: number;
}

interface RepeatInput {
  readonly series: readonly Series[];
  readonly sessionDays: Int32Array;
  readonly rules: ValidationRules;
}

/**
 * Bars that repeat another session's bar of the same symbol to the last digit: one of the two is a
 * copy. Known at the close of the later session. In the bundled data it is the earlier row that is
 * wrong (a later day's bar stands in it, a look into the future); the fit to the neighbours decides,
 * and where it cannot, both are flagged.
 */
export function findRepeats(input: RepeatInput): readonly RepeatedSession[] {
  const { series, sessionDays, rules } = input;
  const repeats = series.flatMap((one) => findEqualBars(one, rules));
  const groups = new Map<string, Repeat[]>();
  for (const repeat of repeats) {
    const key = `${repeat.series.sessions[repeat.first]}-${repeat.series.sessions[repeat.second]}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [repeat]);
    else group.push(repeat);
  }
  const sessions: RepeatedSession[] = [];
  for (const candidates of groups.values()) {
    const sure = candidates.filter((repeat) => isNoChance(repeat, rules.repeatMinRange));
    const inGroup = sure.length >= rules.repeatGroup;
    const group = inGroup
      ? [
          ...candidates.filter((repeat) => isNoChance(repeat, rules.repeatMinRangeInGroup)),
          ...findNearCopies({ candidates, series, rules }),
        ]
      : sure;
    const sample = group[0];
    if (sample === undefined) continue;
    const suspect = judge(group, input);
    for (const repeat of group) report({ repeat, suspect: suspect(repeat), size: group.length, sessionDays });
    if (inGroup) {
      const first = sample.series.sessions[sample.first] ?? 0;
      const second = sample.series.sessions[sample.second] ?? 0;
      const later = group.filter((repeat) => suspect(repeat) === 'second').length > group.length / 2;
      sessions.push({
        session: later ? second : first,
        otherSession: later ? first : second,
        knownSession: second,
        symbols: group.length,
      });
    }
  }
  return sessions;
}

/** All pairs with four equal prices within the look-back, by a hash table over the bars' bits. */
function findEqualBars(series: Series, rules: ValidationRules): Repeat[] {
  const { bars, rows, sessions } = series;
  const { open, high, low, close, volume } = bars;
  const count = rows.length;
  let size = 16;
  while (size < count * 2) size *= 2;
  const slots = new Int32Array(size).fill(-1);
  /** Previous position with the same prices, -1 if none. */
  const older = new Int32Array(count).fill(-1);
  const found: Repeat[] = [];
  const equal = (a: number, b: number): boolean =>
    open[a] === open[b] && high[a] === high[b] && low[a] === low[b] && close[a] === close[b];
  for (let at = 0; at < count; at++) {
    const row = rows[at]!;
    let slot = hashPrices(open[row]!, high[row]!, low[row]!, close[row]!) & (size - 1);
    while (slots[slot]! >= 0 && !equal(rows[slots[slot]!]!, row)) slot = (slot + 1) & (size - 1);
    older[at] = slots[slot]!;
    slots[slot] = at;
    for (let first = older[at]!; first >= 0; first = older[first]!) {
      if (sessions[at]! - sessions[first]! > rules.repeatSessions) break;
      const equalVolume = volume[rows[first]!] === volume[row] && volume[row]! > 0;
      found.push({ series, first, second: at, equalPrices: 4, equalVolume });
    }
  }
  return found;
}

/** Prices have at most four digits behind the point: as whole numbers they mix well. */
function hashPrices(open: number, high: number, low: number, close: number): number {
  let hash = Math.imul(Math.round(open * 10_000), 0x9e3779b1);
  hash = Math.imul(hash ^ Math.round(high * 10_000), 0x85ebca6b);
  hash = Math.imul((hash ^ (hash >>> 15)) + Math.round(low * 10_000), 0xc2b2ae35);
  hash = Math.imul((hash ^ (hash >>> 13)) + Math.round(close * 10_000), 0x27d4eb2f);
  return hash ^ (hash >>> 16);
}

/** Cheap shares in a narrow range repeat by chance; equal volume too, or a wide range, is no chance. */
function isNoChance(repeat: Repeat, minRange: number): boolean {
  if (repeat.equalVolume) return true;
  const { high, low } = repeat.series.bars;
  const row = repeat.series.rows[repeat.first] ?? 0;
  return high[row]! - low[row]! >= minRange - 1e-9;
}

/** Between two sessions that many symbols share, three equal prices are enough (the fourth was revised). */
function findNearCopies(input: {
  readonly candidates: readonly Repeat[];
  readonly series: readonly Series[];
  readonly rules: ValidationRules;
}): Repeat[] {
  const { candidates, series, rules } = input;
  const sample = candidates[0];
  if (sample === undefined) return [];
  const firstSession = sample.series.sessions[sample.first] ?? -1;
  const secondSession = sample.series.sessions[sample.second] ?? -1;
  const known = new Set(candidates.map((repeat) => repeat.series));
  const found: Repeat[] = [];
  for (const one of series) {
    if (known.has(one)) continue;
    const first = positionOf(one.sessions, firstSession);
    const second = positionOf(one.sessions, secondSession);
    if (first < 0 || second < 0) continue;
    const a = one.rows[first]!;
    const b = one.rows[second]!;
    const { open, high, low, close } = one.bars;
    const equal = [open, high, low, close].filter((column) => column[a] === column[b]).length;
    const repeat: Repeat = { series: one, first, second, equalPrices: 3, equalVolume: false };
    if (equal === 3 && isNoChance(repeat, rules.repeatMinRange)) found.push(repeat);
  }
  return found;
}

function positionOf(sessions: Int32Array, session: number): number {
  let low = 0;
  let high = sessions.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sessions[middle]! < session) low = middle + 1;
    else high = middle;
  }
  return sessions[low] === session ? low : -1;
}

type Suspect = 'first' | 'second' | 'both';

/** Which row of a pair is the copy: the one that fits its neighbours worse, a group deciding together. */
function judge(group: readonly Repeat[], { series, rules }: RepeatInput): (repeat: Repeat) => Suspect {
  const sample = group[0];
  const firstSession = sample?.series.sessions[sample.first] ?? 0;
  const secondSession = sample?.series.sessions[sample.second] ?? 0;
  if (secondSession - firstSession === 1) {
    // Each is the other's neighbour: only the gap before both tells, and only against other symbols.
    if (group.length < rules.repeatGroupJudged) return () => 'both';
    const members = new Set(group.map((repeat) => repeat.series));
    const gapsOf = (wanted: boolean) =>
      Float64Array.from(
        series
          .filter((one) => members.has(one) === wanted)
          .map((one) => Math.abs(one.gaps[positionOf(one.sessions, firstSession)] ?? Number.NaN))
          .filter((gap) => !Number.isNaN(gap)),
      );
    const others = gapsOf(false);
    if (others.length < rules.marketMinSymbols) return () => 'both';
    const worse = medianInPlace(gapsOf(true)) > 1.2 * medianInPlace(others);
    return () => (worse ? 'first' : 'both');
  }
  const misfits = group.map(misfitOf);
  if (group.length >= rules.repeatGroup) {
    const votes = misfits.filter((misfit) => misfit.first >= misfit.second).length;
    if (votes * 2 > group.length) return () => 'first';
    if (votes * 2 < group.length) return () => 'second';
    return () => 'both';
  }
  return (repeat) => {
    const { first, second } = misfitOf(repeat);
    return first >= second ? 'first' : 'both';
  };
}

/** Gaps around both rows. Of the later only the gap before is known, so it counts twice. */
function misfitOf({ series, first, second }: Repeat): { first: number; second: number } {
  const gap = (at: number): number => Math.abs(series.gaps[at] ?? 0) || 0;
  return { first: gap(first) + gap(first + 1), second: 2 * gap(second) };
}

function report(input: {
  readonly repeat: Repeat;
  readonly suspect: Suspect;
  readonly size: number;
  readonly sessionDays: Int32Array;
}): void {
  const { repeat, suspect, size, sessionDays } = input;
  const { series, first, second, equalPrices, equalVolume } = repeat;
  const { bars, rows, sessions, findings } = series;
  const knownDay = sessionDays[sessions[second] ?? 0] ?? 0;
  const what =
    equalPrices === 4 ? `all four prices${equalVolume ? ' and the volume' : ''}` : 'three of four prices';
  for (const [at, other, wanted] of [
    [first, second, 'first'],
    [second, first, 'second'],
  ] as const) {
    if (suspect !== wanted && suspect !== 'both') continue;
    const row = rows[at] ?? 0;
    const date = sessionDateOf(sessionDays[sessions[other] ?? 0] ?? 0);
    const company = size > 1 ? `, as in ${size - 1} other symbols` : '';
    const doubt = suspect === 'both' ? '; which of the two is the copy cannot be told' : '';
    findings.add({
      row,
      code: 'repeatedBar',
      reason: `${what} are those of ${date} (close ${price(bars.close[row]!)})${company}${doubt}`,
      knownDay,
    });
  }
}
