/** Header of every activity: which run it is part of. Lines of workers carry it, whatever the activity's input says. */
export const RUN_CONTEXT_HEADER = 'nightshift-run';

/** What is known of a run; the run id of a line is its workflow's. */
export type RunContext = { sessionDate?: string; taskRunId?: string };

/** Ids in the input or result of a workflow or activity. */
export function runContextOf(value: unknown): RunContext {
  if (typeof value !== 'object' || value === null) return {};
  const fence: unknown = Reflect.get(value, 'fence');
  const text = (of: unknown, name: string): string | undefined => {
    const field: unknown = typeof of === 'object' && of !== null ? Reflect.get(of, name) : undefined;
    return typeof field === 'string' ? field : undefined;
  };
  const sessionDate = text(value, 'sessionDate');
  const taskRunId = text(value, 'taskRunId') ?? text(fence, 'taskRunId');
  return { ...(sessionDate !== undefined && { sessionDate }), ...(taskRunId !== undefined && { taskRunId }) };
}
