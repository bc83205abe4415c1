/** Header of every activity: which run it is part of. Lines of workers carry it, whatever the activity's input says. */
export const RUN_CONTEXT_HEADER = 'nightshift-run';

/** What is known of a run; the run id of a line is its workflow's. */
export type RunContext = { sessionDate?: string; taskRunId?: string };

/** Ids in the input or result of a workflow or activity; the plan of a single run has them in its parts. */
export function runContextOf(value: unknown): RunContext {
  const text = (of: unknown, name: string): string | undefined => {
    const field = fieldOf(of, name);
    return typeof field === 'string' ? field : undefined;
  };
  const sessionDate = text(value, 'sessionDate') ?? text(fieldOf(value, 'input'), 'sessionDate');
  const taskRunId =
    text(value, 'taskRunId') ??
    text(fieldOf(value, 'fence'), 'taskRunId') ??
    text(fieldOf(value, 'plan'), 'taskRunId');
  return { ...(sessionDate !== undefined && { sessionDate }), ...(taskRunId !== undefined && { taskRunId }) };
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}
