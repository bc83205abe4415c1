import type { TrackRow } from '../../db/queries/outcomes.ts';
import { PROBABILITY_NAMES } from '../../db/queries/predictions.ts';
import type { LabelKind } from '../../domain/labels.ts';
import type { TrackColumns } from './walk-forward.ts';

/** The track record as columns, live and simulated apart; a bucket without a row is left out. */
export function trackColumns(rows: readonly TrackRow[], labelKind: LabelKind): TrackColumns[] {
  return (['live', 'simulated'] as const).flatMap((bucket) => {
    const own = rows.filter(({ simulated }) => simulated === (bucket === 'simulated'));
    return own.length === 0 ? [] : [columnsOf(bucket, own, labelKind)];
  });
}

function columnsOf(
  bucket: TrackColumns['bucket'],
  rows: readonly TrackRow[],
  labelKind: LabelKind,
): TrackColumns {
  const sessions = positions(rows.map(({ sessionDate }) => sessionDate));
  const symbols = positions(rows.map(({ symbol }) => symbol));
  const numbers = (pick: (row: TrackRow) => number | null): Float64Array =>
    Float64Array.from(rows, (row) => pick(row) ?? Number.NaN);
  return {
    bucket,
    panel: {
      session: Int32Array.from(rows, ({ sessionDate }) => sessions.get(sessionDate) ?? 0),
      symbol: Int32Array.from(rows, ({ symbol }) => symbols.get(symbol) ?? 0),
      block: new Int32Array(rows.length),
      target: numbers((row) => (labelKind === 'excess' ? row.targetExcess : row.targetDirection)),
      forwardReturn: numbers(({ forwardReturn }) => forwardReturn),
      excessReturn: numbers(({ excessReturn }) => excessReturn),
      baseRate: numbers(({ baseRate }) => baseRate),
    },
    probabilities: Object.fromEntries(
      PROBABILITY_NAMES.map((name) => [name, numbers(({ probabilities }) => probabilities[name])]),
    ),
  };
}

/** Position of each different value in ascending order. */
export function positions(values: readonly string[]): Map<string, number> {
  return new Map([...new Set(values)].sort().map((value, index) => [value, index]));
}
