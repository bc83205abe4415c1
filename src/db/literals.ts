/** COPY takes no parameters, so its few values become literals here and nowhere else. */

/** A text literal, safe whatever `standard_conforming_strings` says. */
export function textLiteral(value: string): string {
  if (value.includes('\0')) throw new RangeError('text with a zero byte');
  const quoted = `'${value.replaceAll("'", "''").replaceAll('\\', '\\\\')}'`;
  return value.includes('\\') ? `E${quoted}` : quoted;
}

/** `array[…]::text[]` in byte order of comparison. */
export function textArrayLiteral(values: readonly string[]): string {
  return `array[${values.map(textLiteral).join(',')}]::text[]`;
}

/** A date literal. Throws RangeError for anything but `YYYY-MM-DD`. */
export function dateLiteral(value: string): string {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(value)) throw new RangeError(`not a date: ${JSON.stringify(value)}`);
  return `date '${value}'`;
}

/** An instant literal in UTC. Throws RangeError for anything `Date` cannot read. */
export function instantLiteral(value: string): string {
  return `timestamptz '${new Date(value).toISOString()}'`;
}
