import type { Model } from '../../contracts/wire/names.ts';
import { decideGate, type GateDecision, type GateModel, sharedRows } from '../../domain/gate.ts';
import type { LabelKind } from '../../domain/labels.ts';
import type { MetricOptions } from '../../domain/metrics/evaluate.ts';
import { evaluateModels, type EvaluationReport } from '../../domain/metrics/report.ts';
import type { MarketPanel } from '../datasets/market-panel.ts';
import { type OofTable, readOofTable, type Scored } from '../datasets/tables.ts';
import { labelsWithFlagged, withOutcomes } from './outcomes.ts';
import type { Report } from './protocol.ts';

/** An out-of-fold table with the sessions and symbols its indices mean. */
export type NamedOof = { bytes: Uint8Array; sessions: string[]; symbols: string[] };

export type EvaluateTrainingInput = {
  oof: NamedOof;
  /** The panel of the same night: outcomes with the doubtful bars come from it. */
  panel: MarketPanel;
  labelKind: LabelKind;
  metrics: MetricOptions;
  /** Why the meta-learner must not be used; null when it may. */
  metaUnusable: string | null;
  /** Base models that the meta-learner's own leak check named. */
  leakSuspects: string[];
  gateModels: {
    name: Model;
    finalFinite: boolean;
    additive: boolean;
    additivityMaxError: number;
    foldsExpected: number;
    foldsDone: number;
  }[];
  /** The version that is current as of S. */
  current: NamedOof | null;
};

export type TrainingEvaluation = {
  clean: EvaluationReport;
  withFlagged: EvaluationReport;
  gate: GateDecision;
};

/** Metrics of all models beside the baselines, verdicts and the gate, on out-of-fold rows. */
export async function evaluateTraining(
  input: EvaluateTrainingInput,
  report: Report,
): Promise<TrainingEvaluation> {
  const { panel, labelKind, metrics } = input;
  report('read', 0, 4);
  const oof = await readOofTable(input.oof.bytes);
  report('metrics', 1, 4);
  const clean = evaluate(oof, input);
  report('metrics with doubtful bars', 2, 4);
  const labels = labelsWithFlagged(panel, metrics.horizonSessions);
  const all = withOutcomes(oof.panel, labels, { symbols: panel.symbols.length, labelKind });
  const withFlagged = evaluate({ ...oof, panel: all }, input);
  report('gate', 3, 4);
  const suspects = clean.models.filter(({ verdict }) => verdict.leakSuspected).map(({ name }) => name);
  const { replicates, seed } = metrics;
  const gate = decideGate({
    models: gateModels(oof, input),
    leakSuspects: [...new Set([...suspects, ...input.leakSuspects])],
    comparison: input.current === null ? null : await compareWith(input.current, oof, input.oof),
    horizonSessions: metrics.horizonSessions,
    ...(seed === undefined ? {} : { seed }),
    ...(replicates === undefined ? {} : { replicates }),
  });
  return { clean, withFlagged, gate };
}

function evaluate(oof: OofTable, input: EvaluateTrainingInput): EvaluationReport {
  const { meanLogit, ...models } = oof.probabilities;
  return evaluateModels({
    panel: oof.panel,
    models,
    meanLogit,
    majorityClass: oof.majorityClass,
    yesterdaySign: oof.yesterdaySign,
    ...(input.metaUnusable === null ? {} : { unusable: { meta: input.metaUnusable } }),
    metrics: input.metrics,
  });
}

function gateModels(oof: OofTable, input: EvaluateTrainingInput): GateModel[] {
  const isFinite = (name: Scored, from: number): boolean =>
    oof.probabilities[name].every(
      (value, row) => (oof.panel.block[row] ?? 0) < from || Number.isFinite(value),
    );
  const base = input.gateModels.map((model) => ({ ...model, finite: isFinite(model.name, 0) }));
  const [first] = input.gateModels;
  const folds = { foldsExpected: first?.foldsExpected ?? 0, foldsDone: first?.foldsExpected ?? 0 };
  // The first two blocks have no earlier out-of-fold predictions to fit a meta-learner on.
  return [
    ...base,
    { name: 'meta', finite: isFinite('meta', 2), finalFinite: null, additive: null, ...folds },
  ];
}

/** A version's probability: that of its stack, before there is one the mean of base logits. */
function versionProbability({ probabilities: { meta, meanLogit } }: OofTable): Float64Array {
  return meta.map((value, row) => (Number.isFinite(value) ? value : (meanLogit[row] ?? Number.NaN)));
}

async function compareWith(current: NamedOof, oof: OofTable, named: NamedOof) {
  const other = await readOofTable(current.bytes);
  const shared = sharedRows(keysOf(oof, named), keysOf(other, current));
  const candidate = versionProbability(oof);
  const reference = versionProbability(other);
  const take = (column: Float64Array, rows: Uint32Array): Float64Array =>
    Float64Array.from(rows, (row) => column[row] ?? Number.NaN);
  return {
    session: Int32Array.from(shared.a, (row) => oof.panel.session[row] ?? 0),
    target: take(oof.panel.target, shared.a),
    candidate: take(candidate, shared.a),
    current: take(reference, shared.b),
  };
}

function keysOf({ panel }: OofTable, { sessions, symbols }: NamedOof): string[] {
  return Array.from(
    panel.session,
    (session, row) => `${sessions[session] ?? '?'} ${symbols[panel.symbol[row] ?? -1] ?? '?'}`,
  );
}
