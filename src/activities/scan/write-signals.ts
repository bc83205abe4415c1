import type { ScanActivities, TaskResult } from '../../contracts/activities.ts';
import { type ReasonsArtifact, reasonsArtifactSchema } from '../../contracts/schemas/ml.ts';
import type { Tx } from '../../db/client.ts';
import { assertCurrentAttempt } from '../../db/fence.ts';
import {
  insertPredictions,
  insertSignals,
  latestRevision,
  lockPredictionSet,
  type PredictionHeader,
  type PredictionRow,
  readPredictions,
  readSignals,
  type SignalRow,
  type SignalSide,
} from '../../db/queries/predictions.ts';
import { readSurvivorship } from '../../db/queries/universes.ts';
import type { Signal, SignalAction } from '../../domain/signals.ts';
import { readCalendar } from '../datasets/market-panel.ts';
import { SCORED } from '../datasets/tables.ts';
import type { ActivityDeps } from '../deps.ts';
import { failure } from '../errors.ts';
import { readJson } from '../training/shap-run.ts';
import { readSignalList, type ScanState } from './signal-list.ts';

type Input = Parameters<ScanActivities['writeSignals']>[0];

const SIDES = {
  buy: 'buy',
  outperform: 'buy',
  sell: 'sell',
  underperform: 'sell',
  hold: 'hold',
  not_scored: 'not_scored',
} as const satisfies Record<SignalAction, SignalSide>;
const TOP_IN_RESULT = 10;

type Instants = { dataCutoff: string; simulated: boolean; entrySession: string };

/**
 * Writes predictions and signals of S in one transaction. What is there with the same content stays untouched;
 * other content becomes the next revision beside it.
 */
export async function writeSignals(deps: ActivityDeps, input: Input): Promise<TaskResult> {
  const state = await readSignalList(deps, input);
  const instants = await readInstants(deps, input, state);
  const reasons = input.reasonsHash === null ? null : await readReasons(deps, input.reasonsHash);
  const predictions = predictionRows(state);
  const signals = signalRows(state, reasons);
  const header: PredictionHeader = {
    sessionDate: input.sessionDate,
    universe: input.universe,
    universeVersion: input.universeVersion,
    modelVersion: state.version.version,
    datasetHash: input.plan.dataset.datasetHash,
    featureSetVersion: state.manifest.featureSetVersion,
    labelKind: state.version.labelKind,
    horizonSessions: state.version.horizonSessions,
    simulated: instants.simulated,
    taskRunId: input.taskRunId,
  };
  const written = await deps.db.sql.begin(async (tx) => {
    await assertCurrentAttempt(tx, input.fence);
    await lockPredictionSet(tx, header);
    const newest = await latestRevision(tx, header);
    const same = newest > 0 && (await isSame(tx, { header, revision: newest, predictions, signals }));
    if (same) return { revision: newest, isNew: false };
    const revision = newest + 1;
    await insertPredictions(tx, { header, revision, rows: predictions });
    await insertSignals(tx, {
      header: { ...header, dataCutoff: instants.dataCutoff },
      revision,
      rows: signals,
    });
    return { revision, isNew: true };
  });
  const key = { universe: input.universe, version: input.universeVersion };
  const survivorship = await readSurvivorship(deps.db.sql, key);
  return resultOf(state, { ...instants, ...written, signals, survivorship });
}

async function readInstants(deps: ActivityDeps, input: Input, { config }: ScanState): Promise<Instants> {
  const calendar = await readCalendar(deps.db.sql, config);
  const entrySession = calendar.next(input.sessionDate);
  const knownMs = calendar.closeInstant(input.sessionDate) + config.settleDelayMinutes * 60_000;
  return {
    entrySession,
    dataCutoff: new Date(knownMs).toISOString(),
    simulated: deps.clock().getTime() > calendar.openInstant(entrySession),
  };
}

/** The reasons of the issued signals. Fails with DataDefect for such as do not explain the output. */
async function readReasons(deps: ActivityDeps, hash: string): Promise<ReasonsArtifact> {
  const reasons = reasonsArtifactSchema.parse(await readJson(deps.artifacts, hash));
  if (reasons.additive) return reasons;
  const off = reasons.additivityMaxError.toExponential(1);
  throw failure('DataDefect', `reasons ${hash} do not add up to the stack's output: off by ${off}`);
}

function predictionRows({ manifest, scores }: ScanState): PredictionRow[] {
  return Array.from(scores.symbol, (symbol, row) => {
    const entries = SCORED.map((name) => [name, finite(scores.probabilities[name][row])] as const);
    return {
      symbol: manifest.symbols[symbol] ?? `#${symbol}`,
      probabilities: Object.fromEntries(entries) as PredictionRow['probabilities'],
      metaLogit: finite(scores.metaLogit[row]),
      baseRate: scores.baseRate[row] ?? 0,
    };
  });
}

function finite(value: number | undefined): number | null {
  return value !== undefined && Number.isFinite(value) ? value : null;
}

function signalRows({ list, manifest, baseRate }: ScanState, reasons: ReasonsArtifact | null): SignalRow[] {
  const indexOf = new Map(manifest.symbols.map((symbol, index) => [symbol, index]));
  return list.signals.map((signal) => ({
    symbol: signal.symbol,
    rank: signal.rank,
    side: SIDES[signal.action],
    probability: signal.probability,
    baseRate: signal.probability === null ? null : baseRate,
    confidence: signal.confidence,
    reasonCode: reasonCodeOf(signal),
    reasonWords: signal.words,
    reasons: reasonsOf(reasons, indexOf.get(signal.symbol)),
  }));
}

/** What kept a symbol back, or the word of its signal; why it was not scored stands in the words. */
function reasonCodeOf({ action, reason }: Signal): string {
  return action === 'not_scored' ? 'not_scored' : (reason ?? action);
}

function reasonsOf(reasons: ReasonsArtifact | null, index: number | undefined) {
  const known = index === undefined ? undefined : reasons?.symbols[String(index)];
  return (known?.contributions ?? []).map(({ feature, value, shap }) => ({
    feature,
    value,
    contribution: shap,
  }));
}

/** Whether a stored revision says what is to be said: `simulated` and who wrote it do not count. */
async function isSame(
  tx: Tx,
  input: {
    header: PredictionHeader;
    revision: number;
    predictions: readonly PredictionRow[];
    signals: readonly SignalRow[];
  },
): Promise<boolean> {
  const { header, revision } = input;
  const stored = await readPredictions(tx, { ...header, revision });
  const sameHeader =
    stored.header?.datasetHash === header.datasetHash &&
    stored.header.featureSetVersion === header.featureSetVersion &&
    stored.header.labelKind === header.labelKind &&
    stored.header.horizonSessions === header.horizonSessions;
  if (!sameHeader || !sameRows(stored.rows, input.predictions)) return false;
  const signals = (await readSignals(tx, { ...header, revision })).map(
    ({ symbol, rank, side, probability, baseRate, confidence, reasonCode, reasonWords, reasons }) => ({
      symbol,
      rank,
      side,
      probability,
      baseRate,
      confidence,
      reasonCode,
      reasonWords,
      reasons,
    }),
  );
  return sameRows(signals, input.signals);
}

function sameRows<T extends { symbol: string }>(stored: readonly T[], fresh: readonly T[]): boolean {
  if (stored.length !== fresh.length) return false;
  const bySymbol = new Map(stored.map((row) => [row.symbol, canonical(row)]));
  return fresh.every((row) => bySymbol.get(row.symbol) === canonical(row));
}

/** JSON with sorted keys: jsonb gives them back in an order of its own. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

function resultOf(
  state: ScanState,
  written: Instants & {
    revision: number;
    isNew: boolean;
    signals: readonly SignalRow[];
    survivorship: 'biased' | 'unbiased';
  },
): TaskResult {
  const { version, list, verdict, baseRate, manifest } = state;
  const count = (side: SignalSide): number => written.signals.filter((row) => row.side === side).length;
  return {
    modelVersion: version.version,
    revision: written.revision,
    written: written.isNew,
    verdict,
    scored: list.scored,
    notScored: count('not_scored'),
    issued: list.issued,
    buy: count('buy'),
    sell: count('sell'),
    hold: count('hold'),
    baseRate,
    top: written.signals
      .filter(({ rank }) => rank !== null && rank <= TOP_IN_RESULT)
      .map(({ symbol, rank, side, probability }) => ({ symbol, rank, side, probability })),
    entrySession: written.entrySession,
    simulated: written.simulated,
    dataCutoff: written.dataCutoff,
    featureSetVersion: manifest.featureSetVersion,
    labelKind: version.labelKind,
    horizonSessions: version.horizonSessions,
    survivorship: written.survivorship,
  };
}
