import type { TaskStep } from '../../contracts/activities.ts';
import type { DatasetManifest } from '../../contracts/schemas/ml.ts';
import type { Database } from '../../db/client.ts';
import { assertCurrentAttempt } from '../../db/fence.ts';
import {
  findRetrainingFlag,
  insertDriftAnchor,
  insertDriftBaselines,
  mergeDriftLog,
  mergeRetrainingFlag,
} from '../../db/queries/drift.ts';
import { baselineRows, type NightBaselines } from './baselines.ts';
import { type FlagDecision, type JudgedSeries, logRowOf } from './decide.ts';

/**
 * Everything a night's drift leaves, in one transaction under the fence. The same numbers again change no row; a
 * flag that is no longer due keeps its row without reasons.
 */
export async function storeDrift(
  db: Database,
  night: {
    step: TaskStep;
    manifest: DatasetManifest;
    baselines: NightBaselines;
    series: readonly JudgedSeries[];
    flag: FlagDecision;
    modelVersion: string;
    knownAt: string;
  },
): Promise<void> {
  const { step, manifest, baselines, series, flag, modelVersion, knownAt } = night;
  const { rolling, anchored, newAnchor } = baselines;
  const of = (kind: JudgedSeries['baselineKind']) => series.filter((one) => one.baselineKind === kind);
  await db.sql.begin(async (tx) => {
    await assertCurrentAttempt(tx, step.fence);
    const common = { step, manifest };
    await insertDriftBaselines(tx, [
      ...baselineRows({ ...common, series: of('rolling'), baselineId: rolling.baselineId }),
      ...(newAnchor === null
        ? []
        : baselineRows({ ...common, series: of('anchored'), baselineId: newAnchor.baselineId })),
    ]);
    if (newAnchor !== null) await insertDriftAnchor(tx, newAnchor);
    await mergeDriftLog(
      tx,
      { ...step, featureSetVersion: manifest.featureSetVersion, knownAt },
      series.map((one) =>
        logRowOf(one, one.baselineKind === 'rolling' ? rolling.baselineId : (anchored?.baselineId ?? '')),
      ),
    );
    const known = await findRetrainingFlag(tx, step);
    const { sessionDate, universe, universeVersion, taskRunId } = step;
    const row = { sessionDate, universe, universeVersion, modelVersion, taskRunId };
    if (flag.raised) await mergeRetrainingFlag(tx, { ...row, reasons: flag.reasons });
    else if (known !== null) {
      await mergeRetrainingFlag(tx, { ...known, reasons: [], taskRunId });
    }
  });
}
