import { formatCount, formatNumber } from './format.ts';

/** Reading JSON results of tasks for people: anything missing or of another kind becomes a dash. */

export type JsonObject = Record<string, unknown>;

export function isRecord(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function recordsOf(value: unknown): JsonObject[] {
  return Array.isArray(value) ? value.filter(isRecord) : [];
}

export function numberOf(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

/** A whole number with separators, another figure or a word as it is, a dash for anything else. */
export function plain(value: unknown): string {
  if (typeof value === 'number') return Number.isInteger(value) ? formatCount(value) : formatNumber(value);
  return typeof value === 'string' ? value : '–';
}

/** A share as `12.3 %`. */
export function percent(value: unknown, digits = 1): string {
  const share = numberOf(value);
  return share === null ? '–' : `${(share * 100).toFixed(digits)} %`;
}

/** A return as `+1.2 %`. */
export function signedPercent(value: unknown, digits = 1): string {
  const share = numberOf(value);
  return share === null ? '–' : `${share < 0 ? '' : '+'}${percent(share, digits)}`;
}

/** A metric that is a number or `{value, low, high}`, with its interval unless `bare`. */
export function estimate(metric: unknown, options: { digits?: number; bare?: boolean } = {}): string {
  const { digits = 4, bare = false } = options;
  const value = isRecord(metric) ? numberOf(metric.value) : numberOf(metric);
  if (value === null) return '–';
  const [low, high] = isRecord(metric) ? [numberOf(metric.low), numberOf(metric.high)] : [null, null];
  const text = formatNumber(value, digits);
  return bare || low === null || high === null
    ? text
    : `${text} [${formatNumber(low, digits)}, ${formatNumber(high, digits)}]`;
}

/** `histGradientBoosting` as `hist gradient boosting`. */
export function words(camelCase: string): string {
  return camelCase.replace(/([a-z])([A-Z])/g, '$1 $2').toLowerCase();
}

/** `1 attempt`, `2 attempts`. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

/** Breaks text at spaces; following lines are indented two more than the first. */
export function wrap(text: string, width: number, indent = '  '): string[] {
  const lines: string[] = [];
  let line = indent;
  for (const word of text.split(' ')) {
    const isEmpty = line.trim() === '';
    if (!isEmpty && line.length + 1 + word.length > width) {
      lines.push(line);
      line = `${indent}  ${word}`;
    } else {
      line = isEmpty ? `${line}${word}` : `${line} ${word}`;
    }
  }
  return [...lines, line];
}

/** A titled part of the report, nothing at all when it has no lines. */
export function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', title, ...lines];
}
