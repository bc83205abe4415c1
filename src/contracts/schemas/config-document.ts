import { TASKS } from '../wire/names.ts';
import type { ConfigFile } from './config-file.ts';
import { DOCUMENT_TASKS } from './config-defaults.ts';

const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];

/** A checked file in the documents' format again: reading it gives the same file, without its warnings. */
export function documentOf(file: ConfigFile): Record<string, unknown> {
  const { version, timezone, maxConcurrentJobs, coalesce, maxInstances, misfireGraceTimeMs } = file.globals;
  return {
    version,
    global_settings: {
      timezone,
      max_concurrent_jobs: maxConcurrentJobs,
      job_defaults: {
        coalesce,
        max_instances: maxInstances,
        misfire_grace_time: misfireGraceTimeMs / 1000,
      },
    },
    scheduled_tasks: TASKS.map((task) => {
      const { taskId, title, enabled, hour, minute, daysOfWeek, timeoutMs, maxAttempts } = file.tasks[task];
      return {
        task_id: taskId,
        name: title,
        function_name: DOCUMENT_TASKS[task].functionName,
        enabled,
        schedule: { hour, minute, day_of_week: daysOfWeek.map((day) => DAYS[day]).join(',') },
        timeout_minutes: timeoutMs / 60_000,
        retry_on_failure: maxAttempts > 1,
        max_retries: maxAttempts - 1,
      };
    }),
    nightshift: file.nightshift,
  };
}
