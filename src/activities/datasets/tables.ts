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

/** Reads an out-of-fold table. Throws RangeError for a file without its columns. */
export async function readOofTable(bytes: Uint8Array): Promise<OofTable> {
  const { columns } = await readParquet(bytes);
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
    probabilities: readProbabilities(numbers),
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

/** Reads a table of scores. Throws RangeError for a file without its columns. */
export async function readScoreTable(bytes: Uint8Array): Promise<ScoreTable> {
  const { columns } = await readParquet(bytes);
  const numbers = (name: string): Float64Array => doubles(columns.get(name), name);
  return {
    symbol: wholes(columns.get('symbolIndex'), 'symbolIndex'),
    probabilities: readProbabilities(numbers),
    metaLogit: numbers('metaLogit'),
    baseRate: numbers('baseRate'),
  };
}

function readProbabilities(numbers: (name: string) => Float64Array): Probabilities {
  const entries = SCORED.map((name) => [name, numbers(`p_${name}`)] as const);
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
