import type { ValidationRules } from './rules.ts';
import type { Series } from './series.ts';

/**
 * Two symbols with the same five numbers for several sessions in a row: one of them carries the
 * other's data. Both are flagged, the first sessions of the run once it is long enough.
 */
export function findIdenticalSeries(input: {
  readonly series: readonly Series[];
  readonly sessionDays: Int32Array;
  readonly rules: ValidationRules;
}): void {
  const { series, sessionDays, rules } = input;
  const size = tableSize(series.length);
  const slots = new Int32Array(size);
  const stamps = new Int32Array(size).fill(-1);
  const cursors = new Int32Array(series.length);
  /** Per pair: last session and length of its current run. */
  const runs = new Map<number, { last: number; length: number }>();
  for (let session = 0; session < sessionDays.length; session++) {
    for (let index = 0; index < series.length; index++) {
      const one = series[index]!;
      const at = cursors[index]!;
      if (one.sessions[at] !== session) continue;
      cursors[index] = at + 1;
      const row = one.rows[at]!;
      let slot = hashRow(one, row) & (size - 1);
      while (stamps[slot] === session) {
        const other = series[slots[slot]!]!;
        const otherAt = cursors[slots[slot]!]! - 1;
        if (sameRow(other, other.rows[otherAt]!, one, row)) {
          extendRun({
            runs,
            key: slots[slot]! * series.length + index,
            session,
            pair: [other, one],
            sessionDays,
            rules,
          });
        }
        slot = (slot + 1) & (size - 1);
      }
      stamps[slot] = session;
      slots[slot] = index;
    }
  }
}

function extendRun(input: {
  readonly runs: Map<number, { last: number; length: number }>;
  readonly key: number;
  readonly session: number;
  readonly pair: readonly [Series, Series];
  readonly sessionDays: Int32Array;
  readonly rules: ValidationRules;
}): void {
  const { runs, key, session, pair, sessionDays, rules } = input;
  const run = runs.get(key);
  const length = run !== undefined && run.last === session - 1 ? run.length + 1 : 1;
  runs.set(key, { last: session, length });
  if (length < rules.identicalSessions) return;
  // The whole run once it is long enough, then only its newest session.
  const from = length === rules.identicalSessions ? session - length + 1 : session;
  for (const [one, other] of [
    [pair[0], pair[1]],
    [pair[1], pair[0]],
  ] as const) {
    for (let at = lastPosition(one.sessions, session); at >= 0 && one.sessions[at]! >= from; at--) {
      one.findings.add({
        row: one.rows[at]!,
        code: 'identicalSeries',
        reason: `the same five numbers as ${other.bars.symbol} for ${length} sessions in a row`,
        knownDay: sessionDays[session] ?? 0,
      });
    }
  }
}

function lastPosition(sessions: Int32Array, session: number): number {
  let at = sessions.length - 1;
  while (at >= 0 && sessions[at]! > session) at--;
  return at;
}

function tableSize(symbols: number): number {
  let size = 16;
  while (size < symbols * 2) size *= 2;
  return size;
}

function hashRow({ bars }: Series, row: number): number {
  let hash = Math.imul(Math.round(bars.close[row]! * 10_000), 0x9e3779b1);
  hash = Math.imul(hash ^ Math.round(bars.volume[row]!), 0x85ebca6b);
  return hash ^ (hash >>> 15);
}

function sameRow(a: Series, rowA: number, b: Series, rowB: number): boolean {
  return (
    a.bars.close[rowA] === b.bars.close[rowB] &&
    a.bars.volume[rowA] === b.bars.volume[rowB] &&
    a.bars.open[rowA] === b.bars.open[rowB] &&
    a.bars.high[rowA] === b.bars.high[rowB] &&
    a.bars.low[rowA] === b.bars.low[rowB]
  );
}
