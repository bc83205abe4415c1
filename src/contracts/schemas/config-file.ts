import { closest, distance } from 'fastest-levenshtein';
import { z } from 'zod';

import { TASKS, type Task } from '../wire/names.ts';
import { DEFAULT_GLOBAL, DEFAULT_SETTINGS, DOCUMENT_TASKS, UNIVERSE_PRESETS } from './config-defaults.ts';
import { parseDayOfWeek } from './day-of-week.ts';

/** Every problem of a configuration at once, one line each, with its path. */
export class ConfigError extends Error {
  readonly problems: string[];
  constructor(problems: string[]) {
    super(`the configuration is not valid:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

const fileTaskSchema = z.object({
  task: z.enum(TASKS),
  taskId: z.number().int(),
  title: z.string(),
  enabled: z.boolean(),
  hour: z.number().int(),
  minute: z.number().int(),
  daysOfWeek: z.array(z.number().int()),
  timeoutMs: z.number().positive(),
  maxAttempts: z.number().int().positive(),
  review: z.boolean(),
});
export type FileTask = z.infer<typeof fileTaskSchema>;

const configFileSchema = z.object({
  globals: z.object({
    version: z.string(),
    timezone: z.string(),
    maxConcurrentJobs: z.number().int().positive(),
    coalesce: z.boolean(),
    maxInstances: z.number().int().positive(),
    misfireGraceTimeMs: z.number().positive(),
  }),
  tasks: z.record(z.enum(TASKS), fileTaskSchema),
  nightshift: z.record(z.string(), z.unknown()),
  warnings: z.array(z.string()),
});
/** A file in the documents' format, checked; our block still as written. */
export type ConfigFile = z.infer<typeof configFileSchema>;

/** Reads a checked file back from where it was stored. Throws ConfigError if it is not one. */
export function parseStoredConfigFile(value: unknown): ConfigFile {
  const parsed = configFileSchema.safeParse(value);
  if (!parsed.success) throw new ConfigError(parsed.error.issues.map((issue) => issueText(issue, '')));
  return parsed.data;
}

/** The least the server accepts; APScheduler's null means no limit, the server's longest is a year. */
const MIN_CATCHUP_SECONDS = 10;
const MAX_CATCHUP_SECONDS = 365 * 86_400;

const clockField = (name: string, max: number) =>
  z.custom<number>(
    (value) => typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max,
    {
      error: (issue) =>
        typeof issue.input === 'string'
          ? `${JSON.stringify(issue.input)} is an expression or text; ${name} must be a number from 0 to ${max}`
          : `must be a whole number from 0 to ${max}`,
    },
  );

const scheduleSchema = z.looseObject({
  type: z.literal('cron', { error: 'only "cron" is known' }).default('cron'),
  hour: clockField('hour', 23),
  minute: clockField('minute', 59).default(0),
  day_of_week: z.union([z.string(), z.number(), z.null()]).optional(),
});

const taskSchema = z.looseObject({
  task_id: z.number().int().min(1).max(TASKS.length),
  name: z.string().min(1).optional(),
  function_name: z.string().optional(),
  endpoint: z.string().optional(),
  enabled: z.boolean().default(true),
  schedule: scheduleSchema.partial().optional(),
  timeout_minutes: z
    .number()
    .positive()
    .max(24 * 60)
    .optional(),
  retry_on_failure: z.boolean().optional(),
  max_retries: z.number().int().min(0).max(100).optional(),
});

const documentSchema = z.looseObject({
  version: z.union([z.string(), z.number()]).default(DEFAULT_GLOBAL.version),
  global_settings: z
    .looseObject({
      timezone: z
        .string()
        .refine(isTimezone, 'is not a time zone of the IANA list')
        .default(DEFAULT_GLOBAL.timezone),
      max_concurrent_jobs: z.number().int().positive().default(DEFAULT_GLOBAL.maxConcurrentJobs),
      job_defaults: z
        .looseObject({
          coalesce: z.boolean().default(DEFAULT_GLOBAL.coalesce),
          max_instances: z.number().int().positive().default(DEFAULT_GLOBAL.maxInstances),
          misfire_grace_time: z
            .number()
            .positive()
            .max(MAX_CATCHUP_SECONDS)
            .nullable()
            .default(DEFAULT_GLOBAL.misfireGraceTimeSeconds),
        })
        .prefault({}),
    })
    .prefault({}),
  scheduled_tasks: z.array(taskSchema).min(1),
  nightshift: z.record(z.string(), z.unknown()).default({}),
});

const UNSUPPORTED_CRON = [
  'second',
  'day',
  'week',
  'month',
  'year',
  'start_date',
  'end_date',
  'jitter',
  'timezone',
];
const KNOWN = {
  document: ['version', 'global_settings', 'scheduled_tasks', 'nightshift'],
  globals: ['timezone', 'max_concurrent_jobs', 'job_defaults'],
  jobDefaults: ['coalesce', 'max_instances', 'misfire_grace_time'],
  task: [
    'task_id',
    'name',
    'function_name',
    'endpoint',
    'enabled',
    'schedule',
    'timeout_minutes',
    'retry_on_failure',
    'max_retries',
  ],
  schedule: ['type', 'hour', 'minute', 'day_of_week'],
};

/**
 * Checks a parsed JSON document. Unknown keys outside our block are warnings with the nearest known key.
 * Throws ConfigError with all problems. Our block is checked by `effectiveConfig`, per universe.
 */
export function parseConfigFile(json: unknown): ConfigFile {
  const parsed = documentSchema.safeParse(json);
  if (!parsed.success) throw new ConfigError(parsed.error.issues.map((issue) => issueText(issue, '')));
  const document = parsed.data;
  const globals = document.global_settings;
  const warnings = [
    ...unknownKeys(document, KNOWN.document, ''),
    ...unknownKeys(globals, KNOWN.globals, 'global_settings.'),
    ...unknownKeys(globals.job_defaults, KNOWN.jobDefaults, 'global_settings.job_defaults.'),
  ];
  const problems: string[] = [];
  const found = new Map<Task, FileTask>();
  for (const [index, entry] of document.scheduled_tasks.entries()) {
    const path = `scheduled_tasks[${index}]`;
    const task = TASKS[entry.task_id - 1];
    if (task === undefined) continue;
    if (found.has(task)) problems.push(`${path}.task_id: ${entry.task_id} appears twice`);
    warnings.push(...unknownKeys(entry, KNOWN.task, `${path}.`));
    const schedule = entry.schedule ?? {};
    for (const key of UNSUPPORTED_CRON.filter((name) => name in schedule && schedule[name] !== null)) {
      problems.push(`${path}.schedule.${key}: not supported; a task runs at hour and minute on day_of_week`);
    }
    warnings.push(...unknownKeys(schedule, [...KNOWN.schedule, ...UNSUPPORTED_CRON], `${path}.schedule.`));
    problems.push(...functionNameProblems(entry.function_name, task, path));
    const checked = fileTask(entry, task);
    if ('problem' in checked) problems.push(`${path}.${checked.problem}`);
    else found.set(task, checked);
  }
  problems.push(...unknownSettings(document.nightshift));
  if (problems.length > 0) throw new ConfigError(problems);
  for (const task of TASKS.filter((name) => !found.has(name))) {
    warnings.push(
      `scheduled_tasks: task ${TASKS.indexOf(task) + 1} (${task}) is not listed, so it is disabled`,
    );
  }
  if (!globals.job_defaults.coalesce) {
    warnings.push(
      'global_settings.job_defaults.coalesce: false has no effect; of several missed nights the newest is started, the others are reported',
    );
  }
  warnings.push(...unusualUniverses(document.nightshift));
  const grace = globals.job_defaults.misfire_grace_time ?? MAX_CATCHUP_SECONDS;
  if (grace < MIN_CATCHUP_SECONDS) {
    warnings.push(
      `global_settings.job_defaults.misfire_grace_time: ${grace} s is raised to ${MIN_CATCHUP_SECONDS} s, the least there is`,
    );
  }
  return {
    globals: {
      version: String(document.version),
      timezone: globals.timezone,
      maxConcurrentJobs: globals.max_concurrent_jobs,
      coalesce: globals.job_defaults.coalesce,
      maxInstances: globals.job_defaults.max_instances,
      misfireGraceTimeMs: Math.max(grace, MIN_CATCHUP_SECONDS) * 1000,
    },
    tasks: {
      ingestion: found.get('ingestion') ?? absentTask('ingestion'),
      training: found.get('training') ?? absentTask('training'),
      overnightScan: found.get('overnightScan') ?? absentTask('overnightScan'),
      backtest: found.get('backtest') ?? absentTask('backtest'),
      driftMonitoring: found.get('driftMonitoring') ?? absentTask('driftMonitoring'),
      weeklyMaintenance: found.get('weeklyMaintenance') ?? absentTask('weeklyMaintenance'),
    },
    nightshift: document.nightshift,
    warnings,
  };
}

function fileTask(entry: z.infer<typeof taskSchema>, task: Task): FileTask | { problem: string } {
  const defaults = DOCUMENT_TASKS[task];
  const schedule = entry.schedule ?? {};
  let daysOfWeek: number[];
  try {
    daysOfWeek = parseDayOfWeek(
      schedule.day_of_week === undefined && entry.schedule === undefined
        ? defaults.dayOfWeek
        : schedule.day_of_week,
    );
  } catch (error) {
    return { problem: `schedule.day_of_week: ${error instanceof Error ? error.message : String(error)}` };
  }
  // `retry_on_failure` alone means the documents' number of retries for that task, at least one.
  const wanted = entry.max_retries ?? Math.max(1, defaults.maxRetries);
  const retries = (entry.retry_on_failure ?? defaults.maxRetries > 0) ? wanted : 0;
  return {
    task,
    taskId: entry.task_id,
    title: entry.name ?? defaults.name,
    enabled: entry.enabled,
    hour: schedule.hour ?? defaults.hour,
    minute: schedule.minute ?? (schedule.hour === undefined ? defaults.minute : 0),
    daysOfWeek,
    timeoutMs: Math.round((entry.timeout_minutes ?? defaults.timeoutMinutes) * 60_000),
    maxAttempts: retries + 1,
    review: retries === 0,
  };
}

function absentTask(task: Task): FileTask {
  const entry = fileTask({ task_id: TASKS.indexOf(task) + 1, enabled: false }, task);
  if ('problem' in entry) throw new ConfigError([`${task}: ${entry.problem}`]);
  return entry;
}

function functionNameProblems(functionName: string | undefined, task: Task, path: string): string[] {
  if (functionName === undefined || functionName === DOCUMENT_TASKS[task].functionName) return [];
  const names = TASKS.map((name) => DOCUMENT_TASKS[name].functionName);
  const owner = names.indexOf(functionName);
  const expected = DOCUMENT_TASKS[task].functionName;
  return owner >= 0
    ? [`${path}.function_name: ${functionName} is task ${owner + 1}; this task_id runs ${expected}`]
    : [
        `${path}.function_name: unknown function ${JSON.stringify(functionName)}${suggest(functionName, names)}`,
      ];
}

/** Unknown or cyclic needs; weekly maintenance stands alone, it is no part of a night. */
export function dependencyProblems(dependencies: Record<Task, Task[]>): string[] {
  const problems: string[] = [];
  for (const task of TASKS) {
    const mixed =
      task === 'weeklyMaintenance'
        ? dependencies[task]
        : dependencies[task].filter((need) => need === 'weeklyMaintenance');
    for (const need of mixed) {
      problems.push(`nightshift.dependencies.${task}: ${need} is not a part of the same run`);
    }
  }
  const done = new Set<Task>();
  let progress = true;
  while (progress) {
    const ready = TASKS.filter(
      (task) => !done.has(task) && dependencies[task].every((need) => done.has(need)),
    );
    for (const task of ready) done.add(task);
    progress = ready.length > 0;
  }
  const cycle = TASKS.filter((task) => !done.has(task));
  if (cycle.length > 0) problems.push(`nightshift.dependencies: a circle among ${cycle.join(', ')}`);
  return problems;
}

/** The defaults name every key there is, model parameters too: a misspelt one would silently do nothing. */
const SETTINGS_SHAPE: Record<string, unknown> = {
  ...DEFAULT_SETTINGS,
  review: { ...DEFAULT_SETTINGS.review, perTask: DOCUMENT_TASKS },
  dependencies: Object.fromEntries(TASKS.map((task) => [task, []])),
};

/** Alerts are the instance's: a universe has none of its own. */
const { alerts: _instanceOnly, ...UNIVERSE_SHAPE } = SETTINGS_SHAPE;

function unknownSettings(block: Record<string, unknown>): string[] {
  const { universes, ...rest } = block;
  const problems = unknownSettingsIn(rest, SETTINGS_SHAPE, 'nightshift');
  if (universes === undefined) return problems;
  if (!isRecord(universes))
    return [...problems, 'nightshift.universes: must be an object of settings per universe'];
  for (const [name, part] of Object.entries(universes)) {
    const path = `nightshift.universes.${name}`;
    problems.push(
      ...(isRecord(part) ? unknownSettingsIn(part, UNIVERSE_SHAPE, path) : [`${path}: must be an object`]),
    );
  }
  return problems;
}

/** Blocks for universes that we do not bring: right for a file that says this name, else a slip. */
function unusualUniverses({ universes }: Record<string, unknown>): string[] {
  const bundled = Object.keys(UNIVERSE_PRESETS);
  return Object.keys(isRecord(universes) ? universes : {})
    .filter((name) => !bundled.includes(name))
    .map((name) => {
      const what = `nightshift.universes.${name}: no bundled universe, holds for a universe file of that name`;
      return `${what}${suggest(name, bundled)}`;
    });
}

function unknownSettingsIn(
  part: Record<string, unknown>,
  shape: Record<string, unknown>,
  path: string,
): string[] {
  const known = Object.keys(shape);
  return Object.entries(part).flatMap(([key, value]) => {
    const here = `${path}.${key}`;
    if (!known.includes(key)) return [`${here}: unknown key${suggest(key, known)}`];
    const inner = shape[key];
    return isRecord(value) && isRecord(inner) ? unknownSettingsIn(value, inner, here) : [];
  });
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function unknownKeys(value: object, known: string[], prefix: string): string[] {
  return Object.keys(value)
    .filter((key) => !known.includes(key) && !key.startsWith('_') && !key.startsWith('$'))
    .map((key) => `${prefix}${key}: unknown key, ignored${suggest(key, known)}`);
}

/** `; did you mean "x"?` when a known key is near. */
export function suggest(key: string, known: string[]): string {
  if (known.length === 0) return '';
  const near = closest(key, known);
  return distance(key, near) <= Math.max(2, Math.floor(key.length / 2))
    ? `; did you mean "${near}"?`
    : `; known: ${known.join(', ')}`;
}

/** `path.to[0].key: what is wrong`, with the nearest known key for unknown ones. */
export function issueText(issue: z.core.$ZodIssue, root: string): string {
  const path = issue.path.reduce(
    (text: string, part) =>
      typeof part === 'number' ? `${text}[${part}]` : text === '' ? String(part) : `${text}.${String(part)}`,
    root,
  );
  if (issue.code !== 'unrecognized_keys') return `${path === '' ? 'document' : path}: ${issue.message}`;
  return issue.keys.map((key) => `${path === '' ? '' : `${path}.`}${key}: unknown key`).join('; ');
}

function isTimezone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en-US', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}
