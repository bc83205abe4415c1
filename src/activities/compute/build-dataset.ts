import { writeParquet } from '../../artifacts/parquet.ts';
import { assembleDataset, type Dataset, type DatasetColumn } from '../../domain/dataset.ts';
import { featureSteps } from '../../domain/features/panel.ts';
import { featureSetVersion } from '../../domain/features/registry.ts';
import { BAR_STATES, computeLabels, countReasons, type LabelKind } from '../../domain/labels.ts';
import { planWalkForward } from '../../domain/splitter.ts';
import { type MarketPanel, maskPanel } from '../datasets/market-panel.ts';
import type { Report } from './protocol.ts';

export type DatasetSettings = {
  labelKind: LabelKind;
  horizonSessions: number;
  blocks: number;
  blockMonths: number;
  minTrainSessions: number;
  trainWindowSessions: number;
};

export type BuildDatasetInput = {
  panel: MarketPanel;
  universe: string;
  universeVersion: string;
  settings: DatasetSettings;
};

/** Feature values of one symbol in S, in the order of the manifest's features. */
export type ScoreRow = { symbol: string; values: Float32Array };
export type NotScored = { symbol: string; reason: string };

export type BuiltDataset = {
  parquet: Uint8Array;
  manifest: Dataset['manifest'];
  scoreRows: ScoreRow[];
  coverage: {
    members: number;
    scored: number;
    rows: number;
    labelledRows: number;
    sessions: number;
    firstSession: string;
    lastSession: string;
    flaggedBars: number;
    quarantinedBars: number;
    labelReasons: Record<string, number>;
    notScored: NotScored[];
    survivorship: MarketPanel['survivorship'];
  };
};

/** Features, labels and walk-forward blocks of one night: everything of a dataset but its hashes. */
export async function buildDataset(input: BuildDatasetInput, report: Report): Promise<BuiltDataset> {
  const { panel, settings } = input;
  const { labelKind, horizonSessions } = settings;
  const masked = maskPanel(panel);
  const { sessions, symbols } = panel;
  const features = drain(featureSteps(masked), (step) => report('features', step.done, step.total));
  report('labels', 0, 1);
  const labels = computeLabels({
    sessions,
    symbols,
    open: panel.open,
    close: panel.close,
    states: panel.states,
    ...(panel.listedFrom === undefined ? {} : { listedFrom: panel.listedFrom }),
    horizonSessions,
  });
  const plan = planWalkForward({ sessions, ...settings });
  const dataset = assembleDataset({
    sessions,
    symbols,
    close: masked.close,
    features,
    labels,
    labelKind,
    plan,
    universe: input.universe,
    universeVersion: input.universeVersion,
    featureSetVersion: featureSetVersion(),
  });
  report('parquet', 0, 1);
  const parquet = await writeParquet(dataset.columns);
  const scoreRows = rowsOfScoreSession(dataset);
  const target = dataset.columns.find(({ name }) => name === 'target');
  return {
    parquet,
    manifest: dataset.manifest,
    scoreRows,
    coverage: {
      members: symbols.length,
      scored: scoreRows.length,
      rows: dataset.manifest.rows,
      labelledRows: target === undefined ? 0 : countFinite(target.values),
      sessions: sessions.length,
      firstSession: sessions[0] ?? '',
      lastSession: sessions.at(-1) ?? '',
      flaggedBars: countStates(panel, BAR_STATES.flagged),
      quarantinedBars: countStates(panel, BAR_STATES.quarantined),
      labelReasons: countReasons(labelKind === 'excess' ? labels.excessReason : labels.directionReason),
      notScored: notScoredOf(panel),
      survivorship: panel.survivorship,
    },
  };
}

function drain<S, T>(steps: Generator<S, T>, each: (step: S) => void): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    each(step.value);
  }
}

function rowsOfScoreSession({ columns, manifest }: Dataset): ScoreRow[] {
  const from = manifest.rowStartBySession[manifest.scoreSessionIndex] ?? 0;
  const named = new Map(columns.map((column) => [column.name, column]));
  const values = manifest.features.map((name) => valuesOf(named.get(name)));
  const symbolIndex = valuesOf(named.get('symbolIndex'));
  return Array.from({ length: manifest.rows - from }, (_, offset) => ({
    symbol: manifest.symbols[symbolIndex[from + offset] ?? -1] ?? '',
    values: Float32Array.from(values, (column) => column[from + offset] ?? Number.NaN),
  }));
}

function valuesOf(column: DatasetColumn | undefined): DatasetColumn['values'] {
  if (column === undefined) throw new RangeError('the dataset lacks a column of its manifest');
  return column.values;
}

function countFinite(values: DatasetColumn['values']): number {
  let count = 0;
  for (const value of values) if (Number.isFinite(value)) count += 1;
  return count;
}

function countStates(panel: MarketPanel, state: number): number {
  let count = 0;
  for (const states of panel.states) for (const value of states) if (value === state) count += 1;
  return count;
}

/** Members without a usable bar in S, with the reason in words. */
function notScoredOf(panel: MarketPanel): NotScored[] {
  const last = panel.sessions.length - 1;
  const session = panel.sessions[last] ?? '';
  const held = new Map(panel.held?.map(({ symbol, reason }) => [symbol, reason]));
  return panel.symbols.flatMap((symbol, index) => {
    const states = panel.states[index];
    const reason = held.get(symbol);
    if (reason !== undefined) return [{ symbol, reason }];
    const state = states?.[last] ?? BAR_STATES.missing;
    if (state === BAR_STATES.usable) return [];
    if (state === BAR_STATES.flagged) return [{ symbol, reason: `the bar of ${session} is doubtful` }];
    if (state === BAR_STATES.quarantined) {
      return [{ symbol, reason: `the bar of ${session} is in quarantine` }];
    }
    const newest = states?.findLastIndex((value) => value === BAR_STATES.usable) ?? -1;
    const since = newest < 0 ? 'and none before' : `the last one is of ${panel.sessions[newest] ?? ''}`;
    return [{ symbol, reason: `no bar of ${session}, ${since}` }];
  });
}
