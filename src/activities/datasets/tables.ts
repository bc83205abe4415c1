import { readParquet } from '../../artifacts/parquet.ts';
import { MODELS, type Model } from '../../contracts/wire/names.ts';
import type { OofPanel } from '../../domain/metrics/panel.ts';

/** The eight models, the mean of their logits and the stack, in report order. */
export const SCORED = [...MODELS, 'meanLogit', 'meta'] as const;
export type Scored = Model | 'meanLogit' | 'meta';
export type Probabilities = Record<Scored, Float64Array>;

/** The out-of-fold table that `fitMeta` leaves: rows, outcomes, naive baselines, one column per model. */
export type OofTable = {
  panel: OofPanel;
  probabilities: Probabilities;
  majorityClass: Float64Array;
  yesterdaySign: Float64Array;
};

/**
 * Reads an out-of-fold table. A model that the version did not have yet is NaN. Throws RangeError for a file without
 * the other columns.
 */
export async function readOofTable(bytes: Uint8Array): Promise<OofTable> {
  const { columns, rows } = await readParquet(bytes);
  const numbers = (name: string): Float64Array => doubles(columns.get(name), name);
  const integers = (name: string): Int32Array => wholes(columns.get(name), name);
  return {
    panel: {
      session: integers('sessionIndex'),
      symbol: integers('symbolIndex'),
      block: integers('blockIndex'),
      target: numbers('target'),
      forwardReturn: numbers('forwardReturn'),
      excessReturn: numbers('excessReturn'),
      baseRate: numbers('baseRate'),
    },
    probabilities: readProbabilities(columns, rows),
    majorityClass: numbers('majorityClass'),
    yesterdaySign: numbers('yesterdaySign'),
  };
}

/** The table that `score` leaves: one row per scored symbol of the session. */
export type ScoreTable = {
  symbol: Int32Array;
  probabilities: Probabilities;
  metaLogit: Float64Array;
  baseRate: Float64Array;
};

/** Reads a table of scores, as `readOofTable` does. */
export async function readScoreTable(bytes: Uint8Array): Promise<ScoreTable> {
  const { columns, rows } = await readParquet(bytes);
  const numbers = (name: string): Float64Array => doubles(columns.get(name), name);
  return {
    symbol: wholes(columns.get('symbolIndex'), 'symbolIndex'),
    probabilities: readProbabilities(columns, rows),
    metaLogit: numbers('metaLogit'),
    baseRate: numbers('baseRate'),
  };
}

function readProbabilities(columns: ReadonlyMap<string, unknown>, rows: number): Probabilities {
  const stack = new Set<Scored>(['meanLogit', 'meta']);
  const entries = SCORED.map((name) => {
    const column = columns.get(`p_${name}`);
    const isKnown = column !== undefined || stack.has(name);
    return [name, isKnown ? doubles(column, `p_${name}`) : new Float64Array(rows).fill(Number.NaN)] as const;
  });
  return Object.fromEntries(entries) as Probabilities;
}

function doubles(values: unknown, name: string): Float64Array {
  if (values instanceof Float64Array) return values;
  if (values instanceof Float32Array || values instanceof Int32Array) return Float64Array.from(values);
  throw new RangeError(`the table has no numeric column ${name}`);
}

function wholes(values: unknown, name: string): Int32Array {
  if (values instanceof Int32Array) return values;
  throw new RangeError(`the table has no int32 column ${name}`);
}
