/** Numbers as people read them; a dash for what is not known. All digits are set in tabular figures. */

const DASH = '–';
type Maybe = number | null | undefined;

function isNumber(value: Maybe): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

/** With so many digits behind the point. */
export function fixed(value: Maybe, digits = 4): string {
  if (!isNumber(value)) return DASH;
  const text = value.toFixed(digits);
  return Number(text) === 0 ? text.replace('-', '') : text.replace('-', '−');
}

/** With its sign, `+0.012`; zero has none. */
export function signed(value: Maybe, digits = 4): string {
  const text = fixed(value, digits);
  return isNumber(value) && Number(value.toFixed(digits)) > 0 ? `+${text}` : text;
}

/** A share as `12.3 %`, with a sign where it is a change. */
export function percent(share: Maybe, options: { digits?: number; sign?: boolean } = {}): string {
  if (!isNumber(share)) return DASH;
  const { digits = 1, sign = false } = options;
  return `${sign ? signed(share * 100, digits) : fixed(share * 100, digits)} %`;
}

/** Whole numbers with thousands separators. */
export function count(value: Maybe): string {
  return isNumber(value) ? value.toLocaleString('en-US') : DASH;
}

/** Milliseconds as `0.8 s`, `12.4 s`, `3 min 05 s`, `2 h 10 min`. */
export function duration(durationMs: Maybe): string {
  if (!isNumber(durationMs)) return DASH;
  const ms = Math.max(0, durationMs);
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  const two = (part: number): string => String(part).padStart(2, '0');
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 48 * 60
    ? `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`
    : `${Math.floor(minutes / 1440)} days`;
}

/** A bound as it is thought of: `30 min`, `2 h`, else as a duration. */
export function limit(ms: number): string {
  const minutes = ms / 60_000;
  if (!Number.isInteger(minutes) || minutes === 0) return duration(ms);
  return minutes % 60 === 0 ? `${minutes / 60} h` : minutes < 120 ? `${minutes} min` : duration(ms);
}

/** How far an instant is from another, as `in 5 min` or `3 h ago`. */
export function relative(instantMs: number, nowMs: number): string {
  const minutes = Math.round(Math.abs(instantMs - nowMs) / 60_000);
  const hours = Math.round(minutes / 60);
  const words =
    minutes < 1
      ? 'a moment'
      : minutes < 90
        ? `${minutes} min`
        : hours < 48
          ? `${hours} h`
          : `${Math.round(hours / 24)} days`;
  return instantMs > nowMs ? `in ${words}` : `${words} ago`;
}

/** A zone's distance from UTC at an instant, as `UTC−05:00`. */
export function utcOffset(instantMs: number, timezone: string): string {
  const parts = new Intl.DateTimeFormat('en-US', { timeZone: timezone, timeZoneName: 'longOffset' });
  const name = parts.formatToParts(instantMs).find(({ type }) => type === 'timeZoneName')?.value ?? '';
  return name.replace(/^GMT([+-]00:00)?/, 'UTC').replace('-', '−');
}

/** How many tasks wait for a person, `2 to decide`; empty for none. */
export function toDecide(waiting: number): string {
  return waiting === 0 ? '' : `${waiting} to decide`;
}

/** `overnightScan` as `overnight scan`. */
export function words(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`).replaceAll('_', ' ');
}

/** The first letter as a capital. */
export function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
