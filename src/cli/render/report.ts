import type { RunReport } from '../../contracts/schemas/report.ts';
import { taskIdOf } from '../../contracts/wire/names.ts';
import { formatBytes, formatDuration, formatTable } from './format.ts';
import { dataSection } from './report-data.ts';
import { modelSections } from './report-models.ts';
import { backtestSection, driftSection, signalSection } from './report-results.ts';
import { plural, section, wrap } from './values.ts';

/** A pipe has no width of its own. */
const WIDE = 120;

/**
 * The readable report of a night: lines without colours, the same on a terminal and in a pipe. `columns` of a
 * terminal: a narrow one gets fewer columns of figures, never cut ones.
 */
export function renderReport(report: RunReport, options: { columns?: number } = {}): string[] {
  const width = Math.min(WIDE, Math.max(60, options.columns ?? WIDE));
  return [
    ...head(report, width),
    ...tasks(report, width),
    ...dataSection(report, width),
    ...modelSections(report, width),
    ...signalSection(report, width),
    ...backtestSection(report, width),
    ...driftSection(report, width),
    ...sizes(report, width),
    ...section(
      'Where to look',
      Object.entries(report.urls).map(([name, url]) => `  ${name}: ${url}`),
    ),
  ];
}

function head(report: RunReport, width: number): string[] {
  const took = report.durationMs === null ? '' : ` in ${formatDuration(report.durationMs)}`;
  const title = `Night of ${report.sessionDate}, universe ${report.universe}: ${report.status}${took}`;
  return [title, ...(report.reason === null ? [] : wrap(report.reason, width))];
}

function tasks(report: RunReport, width: number): string[] {
  const rows = formatTable(
    report.tasks.map((task) => [
      `  ${taskIdOf(task.task)} ${task.task}`,
      task.status,
      formatDuration(task.durationMs),
      plural(task.attempts, 'attempt'),
    ]),
    [2],
  );
  return section(
    'Tasks',
    report.tasks.flatMap((task, index) => [
      rows[index] ?? '',
      ...(task.reason === null ? [] : wrap(task.reason, width, '      ')),
      ...earlierAttempts(task).flatMap((line) => wrap(line, width, '      ')),
    ]),
  );
}

/** What became of the attempts before the last one. */
function earlierAttempts({ history = [] }: RunReport['tasks'][number]): string[] {
  return history.slice(0, -1).map(({ attempt, status, startedAt, completedAt, reason }) => {
    const tookMs = completedAt === null ? null : Math.max(0, Date.parse(completedAt) - Date.parse(startedAt));
    const after = tookMs === null ? '' : ` after ${formatDuration(tookMs)}`;
    return `attempt ${attempt}: ${status.replace('_', ' ')}${after}${reason === null ? '' : `: ${reason}`}`;
  });
}

function sizes({ sizes: found }: RunReport, width: number): string[] {
  if (found === undefined) return [];
  const { databaseBytes, artifactBytes, temporalBytes, logBytes, totalBytes, freeBytes } = found;
  const text = (bytes: number | null): string => (bytes === null ? 'elsewhere' : formatBytes(bytes));
  const free = freeBytes === null ? 'free space unknown' : `${formatBytes(freeBytes)} free`;
  const line =
    `database ${text(databaseBytes)}, artifacts ${text(artifactBytes)}, temporal ${text(temporalBytes)}, ` +
    `logs ${text(logBytes)}, total ${formatBytes(totalBytes)}; ${free}`;
  return section('Sizes on disk', wrap(line, width));
}
