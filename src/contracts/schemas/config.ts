import { createHash } from 'node:crypto';

import { z } from 'zod';

import { TASKS } from '../wire/names.ts';
import type { AlertSettings } from './alert-settings.ts';
import { DEFAULT_SETTINGS, UNIVERSE_PRESETS } from './config-defaults.ts';
import { ConfigError, type ConfigFile, dependencyProblems, isRecord, issueText } from './config-file.ts';
import { type NightshiftSettings, settingsSchema } from './nightshift-settings.ts';

export { ConfigError, type ConfigFile, parseConfigFile, parseStoredConfigFile } from './config-file.ts';

const taskSettingsSchema = z.strictObject({
  task: z.enum(TASKS),
  taskId: z.number().int(),
  title: z.string(),
  enabled: z.boolean(),
  /** Local time of day in `timezone`. */
  hour: z.number().int(),
  minute: z.number().int(),
  /** 0 = Monday, judged on the date on which the task's own time falls. */
  daysOfWeek: z.array(z.number().int()),
  timeoutMs: z.number().positive(),
  /** Retries + 1; each attempt has the whole timeout. */
  maxAttempts: z.number().int().positive(),
  /** A failure waits for a person: a task without retries. */
  review: z.boolean(),
  reviewWindowMs: z.number().positive(),
  dependsOn: z.array(z.enum(TASKS)),
});
export type TaskSettings = z.infer<typeof taskSettingsSchema>;

export const effectiveConfigSchema = z.strictObject({
  ...settingsSchema.omit({ dependencies: true, review: true, alerts: true }).shape,
  version: z.string(),
  timezone: z.string(),
  maxConcurrentJobs: z.number().int().positive(),
  coalesce: z.boolean(),
  maxInstances: z.number().int().positive(),
  misfireGraceTimeMs: z.number().positive(),
  tasks: z.record(z.enum(TASKS), taskSettingsSchema),
});
/**
 * The configuration of one run, complete and frozen: document, the universe's preset, our block.
 * Stored under its hash in `ops.configs`; every activity reads it from there.
 */
export type EffectiveConfig = z.infer<typeof effectiveConfigSchema>;

/**
 * Merges defaults, the universe's preset, the file's block and its own part for that universe, in this order: what a
 * person wrote wins. Checks the result. Throws ConfigError with one line per problem, each with its path.
 */
export function effectiveConfig(file: ConfigFile, universe?: string): EffectiveConfig {
  const { universes, ...block } = file.nightshift;
  const named = universe ?? textOf(block['universe']) ?? DEFAULT_SETTINGS.universe;
  const own = isRecord(universes) ? universes[named] : undefined;
  const merged = [UNIVERSE_PRESETS[named] ?? {}, block, isRecord(own) ? own : {}, { universe: named }].reduce(
    (base: Record<string, unknown>, part) => mergeDeep(base, part),
    DEFAULT_SETTINGS,
  );
  const settings = checkSettings(merged, { universe: named, own });
  const { dependencies, review, alerts: _instanceOnly, ...rest } = settings;
  const tasks = Object.fromEntries(
    TASKS.map((task) => {
      const entry = file.tasks[task];
      const taskSettings: TaskSettings = {
        ...entry,
        dependsOn: dependencies[task],
        reviewWindowMs: (review.perTask[task] ?? review.windowMinutes) * 60_000,
      };
      return [task, taskSettings];
    }),
  );
  return effectiveConfigSchema.parse({ ...rest, ...file.globals, tasks });
}

/** Who is told what, by a file. Throws ConfigError with one line per problem. */
export function alertSettings(file: ConfigFile): AlertSettings {
  const merged = mergeDeep(DEFAULT_SETTINGS, { alerts: file.nightshift['alerts'] });
  return checkSettings(merged, { universe: DEFAULT_SETTINGS.universe, own: undefined }).alerts;
}

/** All universes a file or we know by name; each is checked by `config check`. */
export function knownUniverses(file: ConfigFile): string[] {
  const { universes } = file.nightshift;
  return [
    ...new Set([...Object.keys(UNIVERSE_PRESETS), ...(isRecord(universes) ? Object.keys(universes) : [])]),
  ];
}

/** SHA-256 (hex) of a configuration or a whole file with sorted keys: equal content, equal hash. */
export function configHash(config: EffectiveConfig | ConfigFile): string {
  return createHash('sha256').update(canonicalJson(config)).digest('hex');
}

/** Reads a stored configuration back. Throws ConfigError if it is not one of this version. */
export function parseEffectiveConfig(value: unknown): EffectiveConfig {
  const parsed = effectiveConfigSchema.safeParse(value);
  if (!parsed.success) throw new ConfigError(parsed.error.issues.map((issue) => issueText(issue, '')));
  return parsed.data;
}

/** Checks what a file means for each universe it or we know. Throws ConfigError with every problem once. */
export function checkUniverses(file: ConfigFile): void {
  const problems = new Set<string>();
  const named = textOf(file.nightshift['universe']);
  for (const universe of new Set([...(named === undefined ? [] : [named]), ...knownUniverses(file)])) {
    try {
      effectiveConfig(file, universe);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      for (const problem of error.problems) problems.add(problem);
    }
  }
  if (problems.size > 0) throw new ConfigError([...problems]);
}

function checkSettings(
  merged: Record<string, unknown>,
  { universe, own }: { universe: string; own: unknown },
): NightshiftSettings {
  const parsed = settingsSchema.safeParse(merged);
  if (!parsed.success) {
    throw new ConfigError(
      parsed.error.issues.map((issue) =>
        issueText(issue, hasPath(own, issue.path) ? `nightshift.universes.${universe}` : 'nightshift'),
      ),
    );
  }
  const problems = dependencyProblems(parsed.data.dependencies);
  if (problems.length > 0) {
    throw new ConfigError(
      isRecord(own) && 'dependencies' in own
        ? problems.map((text) => text.replace('nightshift.', `nightshift.universes.${universe}.`))
        : problems,
    );
  }
  return parsed.data;
}

/** Whether a universe's own block has the value at this path: then the problem is there and not in the common part. */
function hasPath(block: unknown, path: readonly PropertyKey[]): boolean {
  let value = block;
  for (const part of path) {
    if (Array.isArray(value)) return true;
    if (!isRecord(value) || !(String(part) in value)) return false;
    value = value[String(part)];
  }
  return isRecord(block);
}

/** Objects are merged key by key, everything else (lists too) is replaced. */
export function mergeDeep(base: unknown, part: unknown): Record<string, unknown> {
  const from = isRecord(base) ? base : {};
  const over = isRecord(part) ? part : {};
  const keys = new Set([...Object.keys(from), ...Object.keys(over)]);
  return Object.fromEntries(
    [...keys].map((key) => {
      const left = from[key];
      const right = over[key];
      if (right === undefined) return [key, left];
      return [key, isRecord(left) && isRecord(right) ? mergeDeep(left, right) : right];
    }),
  );
}

/** JSON with sorted keys at every level, undefined left out. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item)).join(',')}]`;
  if (!isRecord(value)) return JSON.stringify(value) ?? 'null';
  const fields = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, field]) => `${JSON.stringify(key)}:${canonicalJson(field)}`);
  return `{${fields.join(',')}}`;
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
