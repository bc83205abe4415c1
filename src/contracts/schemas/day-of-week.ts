/** Monday first, as APScheduler counts (0 = Monday). */
export const WEEKDAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;

/**
 * APScheduler's `day_of_week`: `mon-fri`, `sat,sun`, `0-4`, `6`, `*`, numeric ranges with `/step`.
 * Returns sorted weekday numbers, 0 = Monday. Throws RangeError with a sentence for people.
 */
export function parseDayOfWeek(value: string | number | null | undefined): number[] {
  if (value === undefined || value === null) return [0, 1, 2, 3, 4, 5, 6];
  const days = new Set<number>();
  for (const part of String(value).toLowerCase().split(',')) {
    for (const day of parsePart(part.trim())) days.add(day);
  }
  return [...days].sort((a, b) => a - b);
}

function parsePart(part: string): number[] {
  const match = /^(\*|[a-z]+|\d+)(?:-([a-z]+|\d+))?(?:\/(\d+))?$/.exec(part);
  const from = match?.[1];
  if (from === undefined) throw new RangeError(`"${part}" is not a day of the week (mon … sun or 0 … 6)`);
  const step = match?.[3] === undefined ? 1 : Number(match[3]);
  if (step < 1) throw new RangeError(`"${part}" has a step of 0`);
  const first = from === '*' ? 0 : weekday(from);
  const last = from === '*' ? 6 : match?.[2] === undefined ? first : weekday(match[2]);
  if (first > last) {
    throw new RangeError(`"${part}" runs backwards: the week begins on Monday, write it as a list`);
  }
  const days: number[] = [];
  for (let day = first; day <= last; day += step) days.push(day);
  return days;
}

function weekday(text: string): number {
  const named = WEEKDAYS.findIndex((name) => name === text);
  const day = named >= 0 ? named : Number(text);
  if (!Number.isInteger(day) || day < 0 || day > 6) {
    throw new RangeError(`"${text}" is not a day of the week (mon … sun, or 0 = Monday … 6 = Sunday)`);
  }
  return day;
}
