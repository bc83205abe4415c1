import type { BarColumns } from '../bars.ts';
import { type FindingList, price } from './findings.ts';

/**
 * Checks that need one row only: is it a session, are the numbers there, positive and ordered, was
 * there trading. Returns per row its session index, or -1 for a row no other check may use.
 */
export function checkRows(input: {
  readonly bars: BarColumns;
  /** Session index of an epoch day, -1 if the exchange was closed. */
  readonly sessionIndexOf: (epochDay: number) => number;
  readonly findings: FindingList;
}): Int32Array {
  const { bars, sessionIndexOf, findings } = input;
  const { epochDays, open, high, low, close, volume } = bars;
  const sessionOfRow = new Int32Array(epochDays.length);
  for (let row = 0; row < epochDays.length; row++) {
    const day = epochDays[row] ?? 0;
    const o = open[row] ?? Number.NaN;
    const h = high[row] ?? Number.NaN;
    const l = low[row] ?? Number.NaN;
    const c = close[row] ?? Number.NaN;
    const v = volume[row] ?? Number.NaN;
    const session = sessionIndexOf(day);
    const ordered = l <= o && o <= h && l <= c && c <= h;
    if (
      session >= 0 &&
      ordered &&
      l > 0 &&
      v > 0 &&
      v < Number.POSITIVE_INFINITY &&
      day !== epochDays[row - 1]
    ) {
      sessionOfRow[row] = session;
      continue;
    }
    const impossible = (
      code: 'nullPrice' | 'nonPositivePrice' | 'badVolume' | 'ohlcOrder' | 'notASession',
      reason: string,
    ) => {
      findings.add({ row, code, reason, knownDay: day });
      sessionOfRow[row] = -1;
    };
    sessionOfRow[row] = session;
    const prices = `open ${price(o)}, high ${price(h)}, low ${price(l)}, close ${price(c)}`;
    if (session < 0) impossible('notASession', 'the exchange was closed on this date');
    if (Number.isNaN(o) || Number.isNaN(h) || Number.isNaN(l) || Number.isNaN(c)) {
      impossible('nullPrice', `a price is missing: ${prices}`);
    } else if (!(o > 0 && h > 0 && l > 0 && c > 0 && h < Number.POSITIVE_INFINITY)) {
      impossible('nonPositivePrice', `a price is not above zero: ${prices}`);
    } else if (!ordered) impossible('ohlcOrder', `open or close lies outside low to high: ${prices}`);
    if (!(v >= 0 && v < Number.POSITIVE_INFINITY))
      impossible('badVolume', `volume ${v} is no number of shares`);
    else if (v === 0 && sessionOfRow[row] !== -1) {
      findings.add({ row, code: 'zeroVolume', reason: `no trade, yet prices: ${prices}`, knownDay: day });
    }
  }
  checkDuplicates(bars, sessionOfRow, findings);
  return sessionOfRow;
}

/** Of equal rows for one session the first stays; of different ones none can be trusted. */
function checkDuplicates(bars: BarColumns, sessionOfRow: Int32Array, findings: FindingList): void {
  const { epochDays, open, high, low, close, volume } = bars;
  for (let row = 1; row < epochDays.length; row++) {
    if (epochDays[row] !== epochDays[row - 1]) continue;
    let first = row - 1;
    while (first > 0 && epochDays[first - 1] === epochDays[row]) first--;
    const equal = [open, high, low, close, volume].every((column) => Object.is(column[row], column[first]));
    const knownDay = epochDays[row] ?? 0;
    const reason = equal ? 'the same row is there twice' : 'two different rows for the same session';
    findings.add({ row, code: 'duplicateSession', reason, knownDay });
    sessionOfRow[row] = -1;
    if (!equal) {
      findings.add({ row: first, code: 'duplicateSession', reason, knownDay });
      sessionOfRow[first] = -1;
    }
  }
}
