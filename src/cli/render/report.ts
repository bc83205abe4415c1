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

function coverage(report: RunReport): string[] {
  return report.coverage === null ? [] : section('Data', figures(report.coverage));
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

function drift(report: RunReport): string[] {
  return report.drift === null ? [] : section('Drift', figures(report.drift));
}
