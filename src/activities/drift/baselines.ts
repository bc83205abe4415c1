import { createHash } from 'node:crypto';
import type { TaskStep } from '../../contracts/activities.ts';
import type { DatasetManifest } from '../../contracts/schemas/ml.ts';
import type { Queryable } from '../../db/client.ts';
import {
  type AnchorInForce,
  type DriftAnchor,
  type DriftBaselineRow,
  findDriftAnchor,
  findPersonalPromotion,
} from '../../db/queries/drift.ts';
import { baselineRange } from '../../domain/drift-monitor.ts';
import type { JudgedSeries } from './decide.ts';
import type { SessionRange } from './series.ts';

/** A range of sessions with the name under which its bins are stored. */
export type Baseline = SessionRange & { baselineId: string };

export type NightBaselines = {
  rolling: Baseline;
  /** The second baseline; null where its sessions have left the dataset. */
  anchored: Baseline | null;
  /** To be written tonight: the first anchor, the one that a promotion asks for, or the old one for other members. */
  newAnchor: DriftAnchor | null;
};

export type BaselineInput = {
  step: TaskStep;
  manifest: DatasetManifest;
  datasetHash: string;
  /** Training sessions of the model that is current as of S, as dates. */
  training: { first: string; last: string };
  windowSessions: number;
  bins: number;
};

/**
 * The two baselines of a night. Rolling: the current model's training sessions that end at least window + h
 * before S. Anchored: the rolling one of the night on which it was set; it moves by an audited act (a row of
 * `drift_anchors`) or when a person promotes or rolls back a model, not by the nightly gate, which would make it
 * roll as well. Where members or features changed its sessions stay, and a row says that they were taken over.
 * Null when no session is left.
 */
export async function resolveBaselines(sql: Queryable, input: BaselineInput): Promise<NightBaselines | null> {
  const { step, manifest } = input;
  const range = rangeOf(input, input.training);
  if (range === null) return null;
  const key = { ...step, featureSetVersion: manifest.featureSetVersion };
  const rolling = { ...range, baselineId: idOf('rolling', input, range) };
  const [anchor, promotion] = await Promise.all([
    findDriftAnchor(sql, key),
    findPersonalPromotion(sql, step),
  ]);
  const isPromoted =
    anchor !== null && promotion !== null && promotion.effectiveFromSession > anchor.effectiveFromSession;
  if (anchor !== null && !isPromoted) {
    const kept = rangeOf(input, { first: anchor.firstSession, last: anchor.lastSession });
    if (kept === null) return { rolling, anchored: null, newAnchor: null };
    const changed = changeSince(anchor, key);
    if (changed === null) {
      return { rolling, anchored: { ...kept, baselineId: anchor.baselineId }, newAnchor: null };
    }
    const anchored = { ...kept, baselineId: idOf('anchored', input, kept) };
    return { rolling, anchored, newAnchor: carriedAnchor(anchor, { step, anchored, changed }) };
  }
  const anchored = { ...range, baselineId: idOf('anchored', input, range) };
  const newAnchor: DriftAnchor = {
    universe: step.universe,
    baselineId: anchored.baselineId,
    effectiveFromSession: step.sessionDate,
    kind: isPromoted ? 'promotion' : 'first_night',
    decidedBy: isPromoted ? promotion.decidedBy : 'nightshift',
    why: isPromoted
      ? `version ${promotion.version} became current on ${promotion.effectiveFromSession}: ${promotion.why}`
      : 'no anchored baseline was in force for this universe',
  };
  return { rolling, anchored, newAnchor };
}

/** What the anchor was measured for that is another now; null where nothing changed. */
function changeSince(
  anchor: AnchorInForce,
  key: { universeVersion: string; featureSetVersion: string },
): string | null {
  const changed = [
    ...(anchor.universeVersion === key.universeVersion ? [] : ['the list of members']),
    ...(anchor.featureSetVersion === key.featureSetVersion ? [] : ['the feature set']),
  ];
  return changed.length === 0 ? null : changed.join(' and ');
}

/** The same sessions, measured anew for tonight's members and features: the baseline does not move. */
function carriedAnchor(
  anchor: AnchorInForce,
  { step, anchored, changed }: { step: TaskStep; anchored: Baseline; changed: string },
): DriftAnchor {
  return {
    universe: step.universe,
    baselineId: anchored.baselineId,
    effectiveFromSession: step.sessionDate,
    kind: 'carried',
    decidedBy: 'nightshift',
    why:
      `${changed} changed: the anchor of ${anchor.effectiveFromSession} keeps its sessions ` +
      `${anchor.firstSession} to ${anchor.lastSession}`,
  };
}

/** Sessions of the night's axis; what the dataset no longer holds is left out. */
function rangeOf(input: BaselineInput, dates: { first: string; last: string }): SessionRange | null {
  const { sessions, scoreSessionIndex, horizonSessions } = input.manifest;
  const first = sessions.findIndex((session) => session >= dates.first);
  const last = sessions.findLastIndex((session) => session <= dates.last);
  if (first < 0 || last < first) return null;
  return baselineRange({
    trainFirstSession: first,
    trainLastSession: last,
    session: scoreSessionIndex,
    horizonSessions,
    windowSessions: input.windowSessions,
  });
}

function idOf(kind: string, input: BaselineInput, range: SessionRange): string {
  const { step, manifest, datasetHash, bins, windowSessions } = input;
  const content = [
    kind,
    step.universe,
    step.universeVersion,
    manifest.featureSetVersion,
    datasetHash,
    manifest.sessions[range.firstSession],
    manifest.sessions[range.lastSession],
    bins,
    windowSessions,
  ];
  return createHash('sha256').update(JSON.stringify(content)).digest('hex');
}

/** A baseline's bins as rows, one per series that has any. */
export function baselineRows(input: {
  series: readonly JudgedSeries[];
  baselineId: string;
  step: TaskStep;
  manifest: DatasetManifest;
}): DriftBaselineRow[] {
  const { baselineId, step, manifest } = input;
  return input.series
    .filter(({ baselineRows: rows }) => rows > 0)
    .map((one) => ({
      baselineId,
      feature: one.name,
      kind: one.baselineKind,
      sessionDate: step.sessionDate,
      universe: step.universe,
      universeVersion: step.universeVersion,
      featureSetVersion: manifest.featureSetVersion,
      firstSession: manifest.sessions[one.firstSession] ?? step.sessionDate,
      lastSession: manifest.sessions[one.lastSession] ?? step.sessionDate,
      rows: one.baselineRows,
      edges: one.edges,
      shares: one.shares,
      calibration: {
        thresholds: one.thresholds,
        comparisonWindows: one.comparisonWindows,
        independentWindows: one.independentWindows,
        missingShare: one.baselineMissingShare,
      },
    }));
}
