import type { FeatureMatrix } from './features/panel.ts';
import type { LabelKind, Labels } from './labels.ts';
import { assertNoOverlap, type WalkForwardBlock, type WalkForwardPlan } from './splitter.ts';

/** What the manifest says of the Parquet file; its own hash names the dataset. */
export interface DatasetManifest {
  schemaVersion: 1;
  parquetHash: string;
  sessionDate: string;
  universe: string;
  universeVersion: string;
  featureSetVersion: string;
  labelKind: LabelKind;
  horizonSessions: number;
  embargoSessions: number;
  sessions: string[];
  symbols: string[];
  features: string[];
  rows: number;
  /** First row of each session, and the number of rows as the last element. */
  rowStartBySession: number[];
  blocks: WalkForwardBlock[];
  finalTrain: { firstSessionIndex: number; lastSessionIndex: number };
  scoreSessionIndex: number;
}

export interface DatasetColumn {
  name: string;
  values: Int32Array | Float32Array | Float64Array;
}

export interface DatasetInput {
  sessions: readonly string[];
  /** Members in ascending order, so that the same universe makes the same bytes. */
  symbols: readonly string[];
  /** `close[symbol][session]`: a row needs a close that session. */
  close: readonly Float64Array[];
  features: FeatureMatrix;
  labels: Labels;
  labelKind: LabelKind;
  plan: WalkForwardPlan;
  universe: string;
  universeVersion: string;
  featureSetVersion: string;
}

/** A dataset before it is written: `manifest` still lacks the hash of the Parquet file. */
export interface Dataset {
  columns: DatasetColumn[];
  manifest: Omit<DatasetManifest, 'parquetHash'>;
}

/**
 * One row per session and member with a usable bar, by session, then symbol; columns sessionIndex, symbolIndex, the
 * features, target, targetDirection, targetExcess, forwardReturn, excessReturn (NaN = none). The same input gives
 * the same values in the same order. RangeError for parts that do not fit together.
 */
export function assembleDataset(input: DatasetInput): Dataset {
  const { sessions, symbols, features, labels, labelKind, plan } = input;
  requireFitting(input);
  assertNoOverlap(plan);
  const { positions, rowStartBySession } = usableRows(input);
  const members = symbols.length;
  const doubles: [string, Float64Array][] = [
    ['target', labelKind === 'excess' ? labels.targetExcess : labels.targetDirection],
    ['targetDirection', labels.targetDirection],
    ['targetExcess', labels.targetExcess],
    ['forwardReturn', labels.forwardReturn],
    ['excessReturn', labels.excessReturn],
  ];
  const columns: DatasetColumn[] = [
    { name: 'sessionIndex', values: positions.map((position) => Math.floor(position / members)) },
    { name: 'symbolIndex', values: positions.map((position) => position % members) },
    ...features.names.map((name, f) => ({
      name,
      values: gather(features.values[f]!, positions, new Float32Array(positions.length)),
    })),
    ...doubles.map(([name, values]) => ({
      name,
      values: gather(values, positions, new Float64Array(positions.length)),
    })),
  ];
  if (new Set(columns.map(({ name }) => name)).size !== columns.length) {
    throw new RangeError('a feature has the name of another column');
  }
  return {
    columns,
    manifest: {
      schemaVersion: 1,
      sessionDate: sessions[plan.scoreSessionIndex]!,
      universe: input.universe,
      universeVersion: input.universeVersion,
      featureSetVersion: input.featureSetVersion,
      labelKind,
      horizonSessions: plan.horizonSessions,
      embargoSessions: plan.embargoSessions,
      sessions: [...sessions],
      symbols: [...symbols],
      features: [...features.names],
      rows: positions.length,
      rowStartBySession,
      blocks: plan.blocks,
      finalTrain: plan.finalTrain,
      scoreSessionIndex: plan.scoreSessionIndex,
    },
  };
}

/** The manifest with the hash of its file, in a fixed order of keys, as bytes whose hash names the dataset. */
export function manifestBytes(manifest: Dataset['manifest'], parquetHash: string): Uint8Array {
  const { schemaVersion, ...rest } = manifest;
  const whole: DatasetManifest = { schemaVersion, parquetHash, ...rest };
  return new TextEncoder().encode(`${JSON.stringify(whole)}\n`);
}

/** Positions in the session-major layout of all rows, and where each session begins among them. */
function usableRows({ sessions, symbols, close }: DatasetInput): {
  positions: Int32Array;
  rowStartBySession: number[];
} {
  const positions = new Int32Array(sessions.length * symbols.length);
  const rowStartBySession: number[] = [];
  let rows = 0;
  for (let session = 0; session < sessions.length; session += 1) {
    rowStartBySession.push(rows);
    for (let symbol = 0; symbol < symbols.length; symbol += 1) {
      if (Number.isNaN(close[symbol]![session]!)) continue;
      positions[rows] = session * symbols.length + symbol;
      rows += 1;
    }
  }
  rowStartBySession.push(rows);
  return { positions: positions.subarray(0, rows), rowStartBySession };
}

function gather<A extends Float32Array | Float64Array>(
  source: Float32Array | Float64Array,
  positions: Int32Array,
  out: A,
): A {
  for (let row = 0; row < out.length; row += 1) out[row] = source[positions[row]!]!;
  return out;
}

function requireFitting(input: DatasetInput): void {
  const { sessions, symbols, close, features, labels, plan } = input;
  const size = sessions.length * symbols.length;
  const unsorted = symbols.findIndex((symbol, i) => i > 0 && !(symbols[i - 1]! < symbol));
  if (unsorted >= 0) throw new RangeError(`symbols must ascend: ${symbols[unsorted]!} does not`);
  if (close.length !== symbols.length || close.some((row) => row.length !== sessions.length)) {
    throw new RangeError('close needs one array per symbol with one value per session');
  }
  if (features.sessionCount !== sessions.length || features.symbolCount !== symbols.length) {
    throw new RangeError('the feature matrix has other sessions or symbols');
  }
  if (labels.forwardReturn.length !== size) throw new RangeError('the labels have other sessions or symbols');
  if (plan.scoreSessionIndex !== sessions.length - 1) {
    throw new RangeError('the plan ends at another session than the data');
  }
}
