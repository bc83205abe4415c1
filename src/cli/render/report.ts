import type { RunReport } from '../../contracts/schemas/report.ts';
import { taskIdOf } from '../../contracts/wire/names.ts';
import { formatCount, formatDuration, formatNumber, formatTable } from './format.ts';

const MAX_SIGNALS = 8;

/** The readable report of a night: lines without colours, the same on a terminal and in a pipe. */
export function renderReport(report: RunReport): string[] {
  return [
    ...head(report),
    ...tasks(report),
    ...coverage(report),
    ...models(report),
    ...signals(report),
    ...drift(report),
    ...section(
      'Where to look',
      Object.entries(report.urls).map(([name, url]) => `  ${name}: ${url}`),
    ),
  ];
}

function section(title: string, lines: string[]): string[] {
  return lines.length === 0 ? [] : ['', title, ...lines];
}

function head(report: RunReport): string[] {
  const took = report.durationMs === null ? '' : ` in ${formatDuration(report.durationMs)}`;
  const lines = [`Night of ${report.sessionDate}, universe ${report.universe}: ${report.status}${took}`];
  if (report.reason !== null) lines.push(`  ${report.reason}`);
  return lines;
}

function tasks(report: RunReport): string[] {
  const rows = report.tasks.map((task) => [
    `  ${taskIdOf(task.task)} ${task.task}`,
    task.status,
    formatDuration(task.durationMs),
    `${task.attempts} attempt${task.attempts === 1 ? '' : 's'}`,
    task.reason ?? '',
  ]);
  return section('Tasks', formatTable(rows, [2]));
}

/** The flat figures of a JSON object, in its own order. */
function figures(value: Record<string, unknown>): string[] {
  return Object.entries(value).flatMap(([name, figure]) => {
    if (typeof figure === 'number') {
      return [`  ${words(name)}: ${Number.isInteger(figure) ? formatCount(figure) : formatNumber(figure)}`];
    }
    return typeof figure === 'string' || typeof figure === 'boolean'
      ? [`  ${words(name)}: ${String(figure)}`]
      : [];
  });
}

function words(camelCase: string): string {
  return camelCase.replace(/([a-z])([A-Z])/g, '$1 $2').toLowerCase();
}

/** The figures of the data in reading order; what a report does not have is left out. */
const COVERAGE_ORDER = [
  'members',
  'withBar',
  'usable',
  'ratio',
  'fromSession',
  'throughSession',
  'missingSessions',
  'quarantined',
  'flagged',
];

function coverage(report: RunReport): string[] {
  if (report.coverage === null) return [];
  const known = COVERAGE_ORDER.filter((name) => name in (report.coverage ?? {}));
  const ordered = Object.fromEntries(known.map((name) => [name, report.coverage?.[name]]));
  const result = report.tasks.find(({ task }) => task === 'ingestion')?.result ?? {};
  const counts = ['rowsFetched', 'rowsChanged', 'quarantined', 'flagged'].filter((name) => name in result);
  return section(
    'Data',
    figures({ ...ordered, ...Object.fromEntries(counts.map((name) => [name, result[name]])) }),
  );
}

function estimate(metrics: Record<string, unknown>, name: string): string {
  const metric = metrics[name];
  if (typeof metric === 'number') return formatNumber(metric);
  if (!isRecord(metric)) return '–';
  const { value, low, high } = metric;
  if (typeof value !== 'number') return '–';
  if (typeof low !== 'number' || typeof high !== 'number') return formatNumber(value);
  return `${formatNumber(value)} [${formatNumber(low)}, ${formatNumber(high)}]`;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function models(report: RunReport): string[] {
  if (report.models.length === 0) return [];
  const [first] = report.models;
  const rows = report.models.map((model) => [
    `  ${model.name}`,
    estimate(model.metrics, 'auc'),
    estimate(model.metrics, 'ic'),
    estimate(model.metrics, 'logLoss'),
    model.verdict,
  ]);
  const baselines = Object.entries(first?.baselines ?? {}).map(([name, value]) =>
    isRecord(value)
      ? [
          `  (${words(name)})`,
          estimate(value, 'auc'),
          estimate(value, 'ic'),
          estimate(value, 'logLoss'),
          'baseline',
        ]
      : [`  (${words(name)})`, '–', '–', typeof value === 'number' ? formatNumber(value) : '–', 'baseline'],
  );
  const table = formatTable([['  model', 'AUC', 'IC', 'log loss', 'verdict'], ...rows, ...baselines]);
  const meta = report.models.find((model) => model.name === 'meta');
  return section(`Models, out of sample, version ${first?.version ?? '–'} (95 % intervals)`, [
    ...table,
    ...(meta === undefined ? [] : [`  In words: ${meta.verdictInWords}`]),
    `  Survivorship: ${report.survivorship}. The universe is a later membership list: read every figure as too good.`,
  ]);
}

function signals(report: RunReport): string[] {
  const issued = report.signals.filter(({ signal }) => signal === 'buy' || signal === 'sell');
  const shown = (issued.length > 0 ? issued : report.signals.filter(({ rank }) => rank !== null)).slice(
    0,
    MAX_SIGNALS,
  );
  if (shown.length === 0) return [];
  const rows = shown.map((signal) => [
    `  ${signal.rank ?? '–'}`,
    signal.symbol,
    signal.signal,
    formatNumber(signal.probability),
    signal.reasons.length > 0
      ? signal.reasons
          .slice(0, 3)
          .map(
            ({ feature, contribution }) =>
              `${feature} ${contribution >= 0 ? '+' : ''}${formatNumber(contribution, 3)}`,
          )
          .join(', ')
      : (signal.reason ?? ''),
  ]);
  const counts = `${issued.length} issued, ${report.signals.length} symbols`;
  const title =
    issued.length > 0
      ? `Signals for the next session (${counts})`
      : `Ranking for the next session, no signals (${counts})`;
  return section(title, formatTable([['  rank', 'symbol', 'signal', 'p', 'why'], ...rows], [0]));
}

/** A figure or word of a JSON result as text; a dash for anything else. */
function plain(value: unknown): string {
  return typeof value === 'number' || typeof value === 'string' ? String(value) : '–';
}

/** What a person asks first: is it alarming, how much was watched, what moved most. */
function drift(report: RunReport): string[] {
  if (report.drift === null) return [];
  const { status, monitored, alarms, elevated, stable, notEnoughData, retrainingFlag, largest } =
    report.drift;
  const counts = [
    `${plain(monitored)} series watched`,
    `${plain(alarms)} alarms`,
    `${plain(elevated)} elevated`,
    `${plain(stable)} stable`,
    `${plain(notEnoughData)} with not enough data`,
  ];
  const moved: unknown[] = Array.isArray(largest) ? largest : [];
  const rows = moved
    .filter(isRecord)
    .map(({ feature, psi, percentile }) => [
      `  ${String(feature)}`,
      `PSI ${formatNumber(typeof psi === 'number' ? psi : null, 3)}`,
      typeof percentile === 'number' ? `above ${(percentile * 100).toFixed(0)} % of past windows` : '',
    ]);
  return section('Drift', [
    `  ${plain(status)}: ${counts.join(', ')}`,
    `  retraining flag: ${retrainingFlag === true ? 'raised' : 'not raised'}`,
    ...formatTable(rows.slice(0, 3)),
  ]);
}
