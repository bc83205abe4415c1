/** Months as `YYYY-MM`. */

/** Whether a text is a month that market data may be of. */
export function isMonth(text: string): boolean {
  return /^(19|20)\d\d-(0[1-9]|1[0-2])$/.test(text);
}

/** The month so many months later (or earlier). */
export function addMonths(month: string, months: number): string {
  const date = new Date(`${month}-01T00:00:00Z`);
  date.setUTCMonth(date.getUTCMonth() + months);
  return date.toISOString().slice(0, 7);
}

/** First and last date of a month. */
export function datesOf(month: string): { from: string; to: string } {
  const end = new Date(`${addMonths(month, 1)}-01T00:00:00Z`);
  end.setUTCDate(0);
  return { from: `${month}-01`, to: end.toISOString().slice(0, 10) };
}

/** `Tue 06`, of a date. */
export function dayName(date: string): string {
  const at = new Date(`${date}T00:00:00Z`);
  return `${at.toLocaleDateString('en-US', { weekday: 'short', timeZone: 'UTC' })} ${date.slice(8)}`;
}

/** `February 2018`. */
export function monthName(month: string): string {
  return new Date(`${month}-01T00:00:00Z`).toLocaleDateString('en-US', {
    month: 'long',
    year: 'numeric',
    timeZone: 'UTC',
  });
}
