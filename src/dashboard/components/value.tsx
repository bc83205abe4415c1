import type { Child, FC } from 'hono/jsx';
import { count, fixed, sentence, words } from '../format.ts';
import { Facts } from './parts.tsx';

const LONG = 12;

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** One plain value in words. */
export function plain(value: unknown): string {
  if (value === null || value === undefined) return '–';
  if (typeof value === 'number') return Number.isInteger(value) ? count(value) : fixed(value);
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** Any JSON: names with their values, deeper parts folded. */
export const Value: FC<{ value: unknown }> = ({ value }): Child => {
  if (Array.isArray(value)) {
    if (value.every((one) => !isRecord(one) && !Array.isArray(one)) && value.length <= LONG)
      return <>{value.map(plain).join(', ') || 'none'}</>;
    return (
      <details>
        <summary>{count(value.length)} entries</summary>
        <pre>{JSON.stringify(value, null, 1)}</pre>
      </details>
    );
  }
  if (!isRecord(value)) return <>{plain(value)}</>;
  return (
    <Facts
      rows={Object.entries(value).map(([name, one]) => [
        sentence(words(name)),
        isRecord(one) && Object.keys(one).length > 0 ? (
          <details>
            <summary>{Object.keys(one).slice(0, 4).map(words).join(', ')}</summary>
            <Value value={one} />
          </details>
        ) : (
          <Value value={one} />
        ),
      ])}
    />
  );
};
