import type { History } from '../support/rig.ts';

/** Distinct commands of a workflow type over its histories, e.g. `activity planFits`, `child training`. */
export function commandsOf(history: History): string[] {
  const found = new Set<string>();
  for (const event of history.events ?? []) {
    const activity = event.activityTaskScheduledEventAttributes;
    const child = event.startChildWorkflowExecutionInitiatedEventAttributes;
    const marker = event.markerRecordedEventAttributes;
    const signal = event.signalExternalWorkflowExecutionInitiatedEventAttributes;
    if (activity)
      found.add(`activity ${activity.activityType?.name ?? ''} on ${activity.taskQueue?.name ?? ''}`);
    if (child) found.add(`child ${child.workflowType?.name ?? ''}`);
    if (marker) found.add(`marker ${markerName(marker)}`);
    if (signal) found.add(`signal ${signal.signalName ?? ''}`);
    if (event.timerStartedEventAttributes) found.add('timer');
    if (event.upsertWorkflowSearchAttributesEventAttributes) found.add('search attributes');
    if (event.workflowPropertiesModifiedEventAttributes) found.add('memo');
    if (event.workflowExecutionContinuedAsNewEventAttributes) found.add('continue as new');
  }
  return [...found].sort();
}

type Marker = NonNullable<NonNullable<History['events']>[number]['markerRecordedEventAttributes']>;

/** A local activity is a marker that carries the activity's type. */
function markerName(marker: Marker): string {
  const data = marker.details?.['data']?.payloads?.[0]?.data;
  const text = data === null || data === undefined ? '{}' : Buffer.from(data).toString('utf8');
  const parsed: unknown = JSON.parse(text);
  const type: unknown =
    typeof parsed === 'object' && parsed !== null ? Reflect.get(parsed, 'activity_type') : undefined;
  return typeof type === 'string' ? `local ${type}` : (marker.markerName ?? '');
}

/** Commands of each workflow type, sorted: what `src/workflows/fingerprints.json` holds. */
export function fingerprints(
  recorded: readonly { workflowType: string; history: History }[],
): Record<string, string[]> {
  const byType = new Map<string, Set<string>>();
  for (const { workflowType, history } of recorded) {
    const commands = byType.get(workflowType) ?? new Set<string>();
    for (const command of commandsOf(history)) commands.add(command);
    byType.set(workflowType, commands);
  }
  return Object.fromEntries(
    [...byType.entries()]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([type, commands]) => [type, [...commands].sort()]),
  );
}
