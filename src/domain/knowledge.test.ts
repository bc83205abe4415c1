import { expect, it } from 'vitest';
import { createCalendar } from './calendar.ts';
import { firstNightKnowing } from './knowledge.ts';

const session = (sessionDate: string) => ({
  sessionDate,
  openMs: Date.parse(`${sessionDate}T14:30:00Z`),
  closeMs: Date.parse(`${sessionDate}T21:00:00Z`),
  earlyClose: false,
});
const calendar = createCalendar({
  exchange: 'XNYS',
  timeZone: 'America/New_York',
  sessions: ['2018-02-01', '2018-02-02', '2018-02-05'].map(session),
});

it.each([
  ['2018-01-01T00:00:00Z', '2018-02-01'],
  ['2018-02-01T14:29:59.999Z', '2018-02-01'],
  ['2018-02-02T03:45:00Z', '2018-02-01'],
  ['2018-02-02T14:29:59.999Z', '2018-02-01'],
  // At the open the next night begins: its cutoff is exclusive.
  ['2018-02-02T14:30:00Z', '2018-02-02'],
  ['2018-02-04T12:00:00Z', '2018-02-02'],
  ['2018-02-05T14:30:00Z', '2018-02-05'],
  ['2026-11-22T00:00:00Z', '2018-02-05'],
])('what is known at %s is known to the night of %s', (instant, night) => {
  expect(firstNightKnowing(calendar, Date.parse(instant))).toBe(night);
});
