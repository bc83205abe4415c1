import { z } from 'zod';
import { TASKS, type Task } from '../contracts/wire/names.ts';

const LEVELS = ['DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL'] as const;
export type LogLevel = (typeof LEVELS)[number];

/** One line of a log, whoever wrote it. */
export type LogRecord = {
  /** UTC. */
  time: Date;
  level: LogLevel;
  logger: string;
  message: string;
  /** The child that wrote it (`postgres`, `temporal`, `worker-1`, …), or `runtime`. */
  source: string;
  /** The task whose file it belongs to; null: the scheduler's. */
  task: Task | null;
  /** What else the process said, small values only. */
  fields: Record<string, unknown>;
};

/** What our processes write to standard output, one JSON object per line. */
const lineSchema = z
  .object({
    time: z.union([z.string(), z.number()]).optional(),
    ts: z.union([z.string(), z.number()]).optional(),
    timestamp: z.union([z.string(), z.number()]).optional(),
    level: z.string().optional(),
    logger: z.string().optional(),
    message: z.string().optional(),
    msg: z.string().optional(),
    task: z.string().optional(),
  })
  .loose();

const LEVEL_NAMES: Record<string, LogLevel> = {
  trace: 'DEBUG',
  debug: 'DEBUG',
  info: 'INFO',
  log: 'INFO',
  notice: 'INFO',
  warn: 'WARNING',
  warning: 'WARNING',
  error: 'ERROR',
  dpanic: 'CRITICAL',
  panic: 'CRITICAL',
  fatal: 'CRITICAL',
  critical: 'CRITICAL',
};

/** Reads a line of a child: our JSON, Temporal's JSON, Postgres' `LEVEL:  text`, or plain text. */
export function parseLogLine(input: {
  line: string;
  source: string;
  stream: 'stdout' | 'stderr';
}): LogRecord {
  const json = parseJson(input.line);
  if (json !== null) return fromJson(json, input.source);
  const [, word, text] =
    /^(DEBUG\d?|LOG|INFO|NOTICE|WARNING|ERROR|FATAL|PANIC):\s+(.*)$/s.exec(input.line) ?? [];
  const level = LEVEL_NAMES[word?.replace(/\d/, '').toLowerCase() ?? ''] ?? 'INFO';
  return {
    time: new Date(),
    level,
    logger: input.source,
    source: input.source,
    message: text ?? input.line,
    task: null,
    fields: {},
  };
}

function parseJson(line: string): z.infer<typeof lineSchema> | null {
  if (!line.startsWith('{')) return null;
  try {
    return lineSchema.parse(JSON.parse(line));
  } catch {
    return null;
  }
}

function fromJson(json: z.infer<typeof lineSchema>, source: string): LogRecord {
  const { time, ts, timestamp, level, logger, message, msg, task, ...fields } = json;
  const at = new Date(time ?? ts ?? timestamp ?? Date.now());
  return {
    time: Number.isNaN(at.getTime()) ? new Date() : at,
    level: LEVEL_NAMES[level?.toLowerCase() ?? ''] ?? 'INFO',
    logger: logger ?? source,
    source,
    message: message ?? msg ?? '',
    task: TASKS.find((name) => name === task || isRunOf(name, fields['workflowId'])) ?? null,
    fields,
  };
}

/** Ids of task runs start with the task: `training/2018-02-06/sample`. Model workers know no more than that. */
function isRunOf(task: Task, workflowId: unknown): boolean {
  return typeof workflowId === 'string' && workflowId.startsWith(`${task}/`);
}

const newYork = new Intl.DateTimeFormat('en-CA', {
  timeZone: 'America/New_York',
  year: 'numeric',
  month: '2-digit',
  day: '2-digit',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
});

/** The second that was told last: records come many a second, and the format costs more than a line's rest. */
let told = { second: Number.NaN, text: '' };

/** `2026-01-06 22:45:00,123` in New York. */
export function newYorkTimestamp(instant: Date): string {
  const second = Math.floor(instant.getTime() / 1000);
  if (told.second !== second) told = { second, text: newYork.format(instant).replace(', ', ' ') };
  return `${told.text},${String(instant.getUTCMilliseconds()).padStart(3, '0')}`;
}

/** The documents' line: `[timestamp] logger - LEVEL - message`. Further lines of a message are indented. */
export function formatRecord(record: LogRecord): string {
  const extra = Object.keys(record.fields).length === 0 ? '' : ` ${JSON.stringify(record.fields)}`;
  const message = `${record.message}${extra}`.trimEnd().replaceAll('\n', '\n    ');
  return `[${newYorkTimestamp(record.time)}] ${record.logger} - ${record.level} - ${message}`;
}
