import type { Sql } from '../../db/client.ts';
import {
  countAttempts,
  countDeliveries,
  countNights,
  countOpenAlerts,
  countRetries,
  countReviews,
  countSignals,
  countTaskRuns,
  DURATION_BOUNDS,
  type DurationSample,
  measureCoverage,
  measureDurations,
  measureSlots,
  measureSuccessAges,
  readPauses,
  type Sample,
} from '../../db/queries/metrics.ts';
import { cached } from '../cached.ts';

/** However often somebody asks, the rows are counted this often at most. */
const FRESH_MS = 5_000;

type Family = { name: string; help: string; type: 'gauge' | 'counter'; read: () => Promise<Sample[]> };

/** Metrics that the rows are the truth of, as text: one statement a family, kept for five seconds. */
export function rowFamilies(sql: Sql): () => Promise<string> {
  const fresh = (read: (sql: Sql) => Promise<Sample[]>) => cached(FRESH_MS, () => read(sql));
  const slots = cached(FRESH_MS, () => measureSlots(sql));
  const slotFamily = (name: string, help: string, pick: keyof Awaited<ReturnType<typeof slots>>): Family => ({
    name,
    help,
    type: 'gauge',
    read: async () => [{ labels: {}, value: (await slots())[pick] }],
  });
  const families: Family[] = [
    { name: 'nightshift_nights', help: 'Nights by state.', type: 'gauge', read: fresh(countNights) },
    {
      name: 'nightshift_task_runs',
      help: 'Task runs by task and state.',
      type: 'gauge',
      read: fresh(countTaskRuns),
    },
    {
      name: 'nightshift_task_attempts',
      help: 'Attempts of task runs by task and how they ended.',
      type: 'gauge',
      read: fresh(countAttempts),
    },
    {
      name: 'nightshift_task_retries_total',
      help: 'Attempts after the first of each task run.',
      type: 'counter',
      read: fresh(countRetries),
    },
    slotFamily('nightshift_slots', 'Task runs that may run at once, by the configuration in force.', 'slots'),
    slotFamily('nightshift_slots_used', 'Task runs that run now.', 'used'),
    slotFamily('nightshift_queue_depth', 'Task runs that wait for a slot.', 'waiting'),
    {
      name: 'nightshift_signals',
      help: 'Signals of the newest scan by side.',
      type: 'gauge',
      read: fresh(countSignals),
    },
    {
      name: 'nightshift_coverage_ratio',
      help: 'Share of symbols with a bar of the session in the newest ingestion.',
      type: 'gauge',
      read: fresh(measureCoverage),
    },
    {
      name: 'nightshift_alerts_open',
      help: 'Open alerts by rule and severity.',
      type: 'gauge',
      read: fresh(countOpenAlerts),
    },
    {
      name: 'nightshift_alert_deliveries',
      help: 'Messages about alerts by state.',
      type: 'gauge',
      read: fresh(countDeliveries),
    },
    {
      name: 'nightshift_reviews_waiting',
      help: 'Failed task runs that wait for a decision.',
      type: 'gauge',
      read: fresh(countReviews),
    },
    {
      name: 'nightshift_schedule_paused',
      help: '1 while a schedule is paused.',
      type: 'gauge',
      read: fresh(readPauses),
    },
    {
      name: 'nightshift_task_last_success_age_seconds',
      help: 'Time since each task last succeeded.',
      type: 'gauge',
      read: fresh(measureSuccessAges),
    },
  ];
  const durations = cached(FRESH_MS, () => measureDurations(sql));
  return async () => {
    const texts: string[] = [];
    // One after the other: a scrape must not take all connections of the API.
    for (const { name, help, type, read } of families)
      texts.push(familyText({ name, help, type }, await read()));
    texts.push(durationText(await durations()));
    return texts.join('\n');
  };
}

function familyText({ name, help, type }: Omit<Family, 'read'>, samples: readonly Sample[]): string {
  const lines = samples.map(({ labels, value }) => `${name}${labelText(labels)} ${value}`);
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines, ''].join('\n');
}

function durationText(samples: readonly DurationSample[]): string {
  const name = 'nightshift_task_duration_seconds';
  const lines = samples.flatMap(({ task, counts, sumSeconds, count }) => [
    ...DURATION_BOUNDS.map(
      (bound, index) => `${name}_bucket${labelText({ task, le: String(bound) })} ${counts[index] ?? 0}`,
    ),
    `${name}_bucket${labelText({ task, le: '+Inf' })} ${count}`,
    `${name}_sum${labelText({ task })} ${sumSeconds}`,
    `${name}_count${labelText({ task })} ${count}`,
  ]);
  return [
    `# HELP ${name} Durations of task runs that succeeded, from their first attempt on.`,
    `# TYPE ${name} histogram`,
    ...lines,
    '',
  ].join('\n');
}

function labelText(labels: Record<string, string>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
