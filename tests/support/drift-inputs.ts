import { writeParquet } from '../../src/artifacts/parquet.ts';
import { MODELS } from '../../src/contracts/wire/names.ts';
import { insertPredictions, PROBABILITY_NAMES } from '../../src/db/queries/predictions.ts';
import { featureSetVersion } from '../../src/domain/features/registry.ts';
import { createRng } from '../../src/domain/statistics/rng.ts';
import type { TaskRig } from './task-rig.ts';

/** Out-of-fold predictions of the sessions from 100 on, as `fitMeta` writes them. */
export async function storeOof(
  rig: TaskRig,
  { sessions, symbols }: { sessions: number; symbols: number },
): Promise<string> {
  const rows = (sessions - 100) * symbols;
  const rng = createRng(11);
  const constant = (value: number) => new Float64Array(rows).fill(value);
  const { hash } = await rig.artifacts.put(
    await writeParquet([
      {
        name: 'sessionIndex',
        values: Int32Array.from({ length: rows }, (_, row) => 100 + Math.floor(row / symbols)),
      },
      { name: 'symbolIndex', values: Int32Array.from({ length: rows }, (_, row) => row % symbols) },
      { name: 'blockIndex', values: new Int32Array(rows) },
      ...['target', 'forwardReturn', 'excessReturn', 'baseRate', 'majorityClass', 'yesterdaySign'].map(
        (name) => ({ name, values: constant(0.5) }),
      ),
      ...PROBABILITY_NAMES.map((name) => ({
        name: `p_${name}`,
        values: constant(0).map(() => 0.5 + 0.05 * rng.normal()),
      })),
      { name: 'metaLogit', values: constant(0) },
    ]),
  );
  return hash;
}

/** A stack as `fitMeta` stores it: the mean of the base models' log-odds. */
export async function storeStack(rig: TaskRig): Promise<string> {
  const stack = {
    coefficients: Object.fromEntries(MODELS.map((model) => [model, 1 / MODELS.length])),
    intercept: 0,
    calibrator: { a: 1, b: 0 },
    usable: true,
    reason: null,
  };
  return (await rig.artifacts.put(new TextEncoder().encode(JSON.stringify(stack)))).hash;
}

/** Predictions of the given sessions around one half plus a shift, each set in a transaction of its own. */
export async function issuePredictions(
  rig: TaskRig,
  set: {
    sessions: readonly string[];
    symbols: readonly string[];
    universeVersion: string;
    modelVersion: string;
    shift: number;
  },
): Promise<void> {
  const rng = createRng(13);
  for (const sessionDate of set.sessions) {
    const rows = set.symbols.map((symbol) => ({
      symbol,
      probabilities: Object.fromEntries(
        PROBABILITY_NAMES.map((name) => [name, 0.5 + set.shift + 0.05 * rng.normal()]),
      ) as Record<(typeof PROBABILITY_NAMES)[number], number>,
      metaLogit: 0,
      baseRate: 0.5,
    }));
    await rig.db('pipeline').sql.begin((tx) =>
      insertPredictions(tx, {
        header: {
          sessionDate,
          universe: 'tiny',
          universeVersion: set.universeVersion,
          modelVersion: set.modelVersion,
          datasetHash: 'a'.repeat(64),
          featureSetVersion: featureSetVersion(),
          labelKind: 'excess',
          horizonSessions: 1,
          simulated: true,
          taskRunId: 'test',
        },
        revision: 1,
        rows,
      }),
    );
  }
}
