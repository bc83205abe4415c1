/** Days since 1970-01-01 of a date (`YYYY-MM-DD`): what COPY takes for a date. */
export function epochDay(date: string): number {
  return Date.parse(`${date}T00:00:00Z`) / 86_400_000;
}
