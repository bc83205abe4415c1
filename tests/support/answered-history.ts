import type { History } from './rig.ts';

/**
 * The part of a history that workflow code has answered: through the commands of its last completed workflow
 * task. A run that was terminated during a task goes on with events (a timer that fired meanwhile) that no code
 * has ever seen; a replay would give that code the task before them and refuse what follows. Of a run that waits
 * for its first task (it continued as new a moment ago) there is nothing, and a replay would never end.
 */
export function answeredPart(history: History): History {
  const events = history.events ?? [];
  const answer = events.findLast((event) => event.workflowTaskCompletedEventAttributes);
  if (answer === undefined) return { ...history, events: [] };
  const terminated = events.some((event) => event.workflowExecutionTerminatedEventAttributes);
  if (!terminated) return history;
  const end = events.findLastIndex((event) => event === answer || isCommandOf(event, String(answer.eventId)));
  return { ...history, events: events.slice(0, end + 1) };
}

/** True when the event is a command of the completed workflow task with this id. */
function isCommandOf(event: NonNullable<History['events']>[number], completedId: string): boolean {
  return Object.values(event).some(
    (attributes: unknown) =>
      typeof attributes === 'object' &&
      attributes !== null &&
      String(Reflect.get(attributes, 'workflowTaskCompletedEventId')) === completedId,
  );
}
