import type { RunReport } from '../../contracts/schemas/report.ts';
import { MODELS } from '../../contracts/wire/names.ts';
import { formatCount, formatDuration, formatTable } from './format.ts';
import {
  estimate,
  isRecord,
  type JsonObject,
  numberOf,
  percent,
  plain,
  plural,
  section,
  words,
  wrap,
} from './values.ts';

type Model = RunReport['models'][number];

/** Narrower terminals get the intervals of the IC only. */
const INTERVALS_FROM = 110;
/** Rows a model is explained on where its newest test block has as many. */
const EXPLAINED_ROWS = 100;
/** Features named per model. */
const MAX_FEATURES = 3;

const SURVIVORSHIP = {
  biased: 'The universe is a later membership list: read every figure as too good.',
  unbiased: 'The universe is said to be the membership of its time, with what left it later.',
} as const satisfies Record<RunReport['survivorship'], string>;

/** What was trained on what, the models beside their baselines, a verdict in words, what they look at. */
export function modelSections(report: RunReport, width: number): string[] {
  return [...trainingSection(report, width), ...metricSection(report, width), ...features(report, width)];
}

function trainingSection(report: RunReport, width: number): string[] {
  const result = report.tasks.find(({ task }) => task === 'training')?.result;
  if (!result || result.modelVersion === undefined) return [];
  const label = `label ${plain(result.labelKind)}, horizon ${plural(numberOf(result.horizonSessions) ?? 0, 'session')}`;
  const lines = [
    `data: ${plain(result.rows)} rows (${plain(result.symbols)} symbols, ${plain(result.sessions)} sessions), ` +
      `${plain(result.features)} features, ${label}`,
    `folds: ${plain(result.foldsFitted)} fitted, ${plain(result.foldsReused)} reused, in ${plain(result.blocks)} test blocks ` +
      `with ${plain(result.outOfFoldRows)} out-of-fold rows; final models: ${plain(result.finalsFitted)} fitted, ` +
      `${plain(result.finalsReused)} reused; ${seconds(result.fitSeconds)} of fits (CPU ${seconds(result.fitCpuSeconds)})`,
    ...treeLine(result),
    `version ${result.modelVersion as string}: ${gateWords(result)}`,
  ];
  return section(
    'Training',
    lines.flatMap((line) => wrap(line, width)),
  );
}

function seconds(value: unknown): string {
  const given = numberOf(value);
  return formatDuration(given === null ? null : given * 1000);
}

function treeLine({ trees, seed, threads }: JsonObject): string[] {
  if (!isRecord(trees)) return [];
  const grown = MODELS.flatMap((model) => {
    const count = numberOf(trees[model]);
    return count === null ? [] : [`${model} ${formatCount(count)}`];
  });
  return [`trees: ${grown.join(', ')}; seed ${String(seed)}, ${plain(threads)} threads a fit`];
}

function gateWords({ accepted, gateReason }: JsonObject): string {
  const reason = typeof gateReason === 'string' ? gateReason : '';
  if (accepted === true) return reason.startsWith('accepted') ? reason : `accepted: ${reason}`;
  return `not accepted, the version before stays current: ${reason.replace(/^refused: /, '')}`;
}

function metricSection(report: RunReport, width: number): string[] {
  if (report.models.length === 0) return [];
  const bare = width < INTERVALS_FROM;
  const cells = (metrics: JsonObject) => [
    estimate(metrics.auc, { bare }),
    estimate(metrics.ic),
    estimate(metrics.logLoss, { bare }),
  ];
  const baselineRows = ({ baselines }: Model) =>
    Object.entries(baselines).map(([name, value]) => [
      `  (${words(name)})`,
      ...cells(isRecord(value) ? value : { logLoss: value }),
    ]);
  const groups = groupBy(report.models, (model) => JSON.stringify(baselineRows(model)));
  const rows = groups.flatMap((group) => [
    ...group.map((model) => [`  ${model.name}`, ...cells(model.metrics), model.verdict]),
    ...baselineRows(group[0]).map((row) => [...row, 'baseline']),
  ]);
  const meta = report.models.find(({ name }) => name === 'meta');
  const prose = [
    ...(groups.length < 2 ? [] : [groups.map(rowsWords).join('; ')]),
    ...(meta === undefined ? [] : [`In words: ${meta.verdictInWords}`, ...flaggedLine(meta)]),
    `Survivorship: ${report.survivorship}. ${SURVIVORSHIP[report.survivorship]}`,
  ];
  return section('Models, out of sample, 95 % intervals in brackets', [
    ...formatTable([['  model', 'AUC', 'IC', 'log loss', 'verdict'], ...rows]),
    ...prose.flatMap((line) => wrap(line, width)),
  ]);
}

/** Models of the same key together, in the order in which each key came first. */
function groupBy(models: readonly Model[], key: (model: Model) => string): [Model, ...Model[]][] {
  const groups = new Map<string, [Model, ...Model[]]>();
  for (const model of models) {
    const group = groups.get(key(model));
    if (group === undefined) groups.set(key(model), [model]);
    else group.push(model);
  }
  return [...groups.values()];
}

/** On which rows a group of models stands, its baselines below it likewise. */
function rowsWords([first, ...others]: [Model, ...Model[]]): string {
  const last = others.at(-1);
  const who = last === undefined ? first.name : `${first.name} to ${last.name}`;
  const { rows, sessions } = first.metrics;
  return `${who} and the baselines below: ${plain(rows)} rows of ${plain(sessions)} sessions`;
}

/** The same rows with the outcomes of doubtful bars: a large difference says that a verdict hangs on them. */
function flaggedLine(meta: Model): string[] {
  const { metricsWithFlagged } = meta;
  if (!isRecord(metricsWithFlagged)) return [];
  const { auc, ic, logLoss } = metricsWithFlagged;
  if (estimate(auc) === '–') return [];
  return [
    `With doubtful bars counted in, meta: AUC ${estimate(auc, { bare: true })}, IC ${estimate(ic)}, ` +
      `log loss ${estimate(logLoss, { bare: true })}.`,
  ];
}

function features(report: RunReport, width: number): string[] {
  const explained = report.models.filter(({ topFeatures = [] }) => topFeatures.length > 0);
  const rows = explained.map(({ name, topFeatures = [] }) => {
    const named = topFeatures
      .slice(0, width < INTERVALS_FROM ? 2 : MAX_FEATURES)
      .map(({ feature, share }) => `${feature} ${percent(share, 0)}`);
    return [`  ${name}`, named.join(', ')];
  });
  return section('What the models look at (share of mean |SHAP|)', [
    ...formatTable(rows),
    ...fewRowsLines(explained).flatMap((line) => wrap(line, width)),
  ]);
}

/** At the beginning of a quarter its block is short: shares of few rows are less certain. */
function fewRowsLines(explained: readonly Model[]): string[] {
  const counts = explained.flatMap(({ explainedRows }) => numberOf(explainedRows) ?? []);
  const fewest = Math.min(...counts);
  if (fewest >= EXPLAINED_ROWS) return [];
  return [
    `explained on ${plural(fewest, 'row')} only, all that the newest test block has so far ` +
      `(${EXPLAINED_ROWS} where it has more)`,
  ];
}
