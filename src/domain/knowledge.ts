import type { SessionDate } from './bars.ts';
import type { ExchangeCalendar } from './calendar.ts';

/**
 * The first session whose night knows a fact that became known at an instant: a night knows everything up to the
 * open of the next session.
 */
export function firstNightKnowing(
  calendar: Pick<ExchangeCalendar, 'at' | 'size'>,
  instantMs: number,
): SessionDate {
  let low = 0;
  let high = calendar.size;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (calendar.at(middle).openMs <= instantMs) low = middle + 1;
    else high = middle;
  }
  // `low` is the first session that opens after the instant.
  return calendar.at(Math.max(0, low - 1)).sessionDate;
}
