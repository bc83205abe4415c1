import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { TASKS, type Task } from '../contracts/wire/names.ts';
import { SCHEDULER_LOG_FILE, TASK_LOG_FILES } from './log-files.ts';
import { newYorkTimestamp } from './log-record.ts';

/** What has a log file: a task, or everything else. */
export const LOG_NAMES = [...TASKS, 'scheduler'] as const;
type LogName = Task | 'scheduler';

/** One record as its file has it. Values of `fields` are texts as they were, anything else as JSON. */
export type LogEntry = {
  /** ISO, UTC. In the hour that a clock shows twice it is the second time. */
  timestamp: string;
  logger: string;
  level: string;
  message: string;
  fields: Record<string, string>;
};

/** Where a page of a log ended: the file, however it is called by now, and the byte at which the page began. */
export type LogPosition = { inode: string; offset: number };

type LogPage = {
  /** Oldest first. */
  entries: LogEntry[];
  /** For the entries before them; null: there are none. */
  before: LogPosition | null;
};

/** New York in winter and in summer, behind UTC. */
const OFFSETS_MS = [5 * 3_600_000, 4 * 3_600_000];
const CHUNK_BYTES = 64 * 1024;
/** A page ends here even if fewer records were found: no answer grows without a bound. */
const MOST_BYTES = 4 * 1024 * 1024;
const NEWLINE = 0x0a;
/** Tries to find where the fields of a record begin. */
const MOST_BRACES = 20;

const HEAD = /^\[(\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2},\d{3})\] (.*?) - ([A-Z]+) - (.*)$/s;

/** Reads a record of a log file, further lines of its message included; null for a text that is none. */
export function parseRecord(text: string): LogEntry | null {
  const parts = HEAD.exec(text);
  if (parts === null) return null;
  const [, clock = '', logger = '', level = '', rest = ''] = parts;
  const timestamp = instantOf(clock);
  if (timestamp === null) return null;
  const whole = rest.replaceAll('\n    ', '\n');
  const { message, fields } = splitFields(whole);
  return { timestamp, logger, level, message, fields };
}

/** What a clock in New York shows as an instant, the later one where it shows it twice; null for no such time. */
function instantOf(clock: string): string | null {
  const wallMs = Date.parse(`${clock.replace(' ', 'T').replace(',', '.')}Z`);
  if (Number.isNaN(wallMs)) return null;
  const shown = OFFSETS_MS.map((offsetMs) => new Date(wallMs + offsetMs)).find(
    (instant) => newYorkTimestamp(instant) === clock,
  );
  return shown?.toISOString() ?? null;
}

/** The fields of a record are one JSON object at the end of its message. */
function splitFields(text: string): { message: string; fields: Record<string, string> } {
  if (!text.endsWith('}')) return { message: text, fields: {} };
  let brace = text.startsWith('{') ? 0 : text.indexOf(' {');
  for (let tries = 0; brace >= 0 && tries < MOST_BRACES; tries += 1) {
    const start = text[brace] === '{' ? brace : brace + 1;
    const fields = objectIn(text.slice(start));
    if (fields !== null) return { message: text.slice(0, brace), fields };
    brace = text.indexOf(' {', brace + 1);
  }
  return { message: text, fields: {} };
}

function objectIn(text: string): Record<string, string> | null {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
    return Object.fromEntries(
      Object.entries(value).map(([name, field]: [string, unknown]) => [
        name,
        typeof field === 'string' ? field : JSON.stringify(field),
      ]),
    );
  } catch {
    return null;
  }
}

/**
 * Folders below a log folder that have a file of this log, the newest first; '' is the folder itself. Folders of
 * workers are one level down; nothing else is looked at, and no link is followed.
 */
export async function findLogFolders(root: string, name: LogName): Promise<string[]> {
  const entries = await readdir(root, { withFileTypes: true }).catch(() => []);
  const folders = ['', ...entries.flatMap((entry) => (entry.isDirectory() ? [entry.name] : []))];
  const found = await Promise.all(
    folders.map(async (folder) => ({ folder, newestMs: await newestIn(join(root, folder), name) })),
  );
  return found
    .flatMap(({ folder, newestMs }) => (newestMs === null ? [] : [{ folder, newestMs }]))
    .toSorted((a, b) => b.newestMs - a.newestMs || (a.folder < b.folder ? -1 : 1))
    .map(({ folder }) => folder);
}

async function newestIn(folder: string, name: LogName): Promise<number | null> {
  const [newest] = await filesOf(folder, name);
  return newest?.modifiedMs ?? null;
}

/** The last records of a log before a position, at most `lines`. `folder` must be one of `findLogFolders`. */
export async function readLogTail(input: {
  root: string;
  folder: string;
  name: LogName;
  lines: number;
  before: LogPosition | null;
}): Promise<LogPage> {
  const { root, folder, name, lines, before } = input;
  const files = await filesOf(join(root, folder), name);
  const place = before === null ? 0 : files.findIndex(({ inode }) => inode === before.inode);
  // What was archived since the page before is gone, and what is older went before it.
  if (place < 0) return { entries: [], before: null };
  const entries: LogEntry[] = [];
  let budget = MOST_BYTES;
  for (const [index, file] of files.slice(place).entries()) {
    const end = index === 0 && before !== null ? before.offset : null;
    const read = await readFileTail(file, { end, lines: lines - entries.length, budget });
    entries.unshift(...read.entries);
    budget -= read.bytes;
    if (read.start > 0) return { entries, before: { inode: file.inode, offset: read.start } };
    const next = files[place + index + 1];
    if (next === undefined) break;
    if (entries.length >= lines || budget <= 0)
      return { entries, before: { inode: next.inode, offset: next.bytes } };
  }
  return { entries, before: null };
}

type LogFile = { path: string; inode: string; bytes: number; modifiedMs: number };

/** The file of a log and its backups, newest first, as far as they are files. */
async function filesOf(folder: string, name: LogName): Promise<LogFile[]> {
  const base = name === 'scheduler' ? SCHEDULER_LOG_FILE : TASK_LOG_FILES[name];
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const numbered = entries.flatMap((entry) => {
    const number = entry.isFile() ? backupNumber(entry.name, base) : null;
    return number === null ? [] : [{ path: join(folder, entry.name), number }];
  });
  const files = await Promise.all(
    numbered
      .toSorted((a, b) => a.number - b.number)
      .map(async ({ path }) => {
        const found = await stat(path, { bigint: true }).catch(() => null);
        if (found === null) return null;
        const { ino, size, mtimeMs } = found;
        return { path, inode: String(ino), bytes: Number(size), modifiedMs: Number(mtimeMs) };
      }),
  );
  return files.filter((file) => file !== null);
}

/** 0 for the file itself, n for `x.log.n`; null for anything else. */
function backupNumber(name: string, base: string): number | null {
  if (name === base) return 0;
  const number = name.startsWith(`${base}.`) ? name.slice(base.length + 1) : '';
  return /^[1-9]\d{0,3}$/.test(number) ? Number(number) : null;
}

/** Records at the end of a part of a file; `start`: byte of the first one, 0 when there is nothing before it. */
async function readFileTail(
  file: LogFile,
  { end, lines, budget }: { end: number | null; lines: number; budget: number },
): Promise<{ entries: LogEntry[]; start: number; bytes: number }> {
  let handle: FileHandle;
  try {
    handle = await open(file.path, 'r');
  } catch {
    return { entries: [], start: 0, bytes: 0 };
  }
  try {
    const { ino, size } = await handle.stat({ bigint: true });
    // Rotated between the listing and here: another page will find it under its new name.
    if (String(ino) !== file.inode) return { entries: [], start: 0, bytes: 0 };
    const last = Math.min(end ?? Number(size), Number(size));
    let start = last;
    let data = Buffer.alloc(0);
    for (;;) {
      const records = recordsIn(data, start === 0);
      const isEnough = records.length >= lines || data.length >= budget;
      if (start === 0 || isEnough) return pageOf(records, { start, last, lines });
      const length = Math.min(start, Math.max(CHUNK_BYTES, data.length));
      const chunk = Buffer.alloc(length);
      const { bytesRead } = await handle.read(chunk, 0, length, start - length);
      if (bytesRead < length) return { entries: [], start: 0, bytes: data.length };
      start -= length;
      data = Buffer.concat([chunk, data]);
    }
  } finally {
    await handle.close();
  }
}

type Found = { at: number; text: string };

/** Records that begin within the data: what is before the first of them belongs to an earlier one. */
function recordsIn(data: Buffer, isBeginning: boolean): Found[] {
  const found: Found[] = [];
  let from = 0;
  while (from < data.length) {
    const newline = data.indexOf(NEWLINE, from);
    const to = newline < 0 ? data.length : newline;
    const line = data.toString('utf8', from, to);
    const isWhole = from > 0 || isBeginning;
    const last = found.at(-1);
    if (isWhole && HEAD.test(line)) found.push({ at: from, text: line });
    else if (last !== undefined) last.text += `\n${line}`;
    from = to + 1;
  }
  return found;
}

function pageOf(
  records: readonly Found[],
  { start, last, lines }: { start: number; last: number; lines: number },
): { entries: LogEntry[]; start: number; bytes: number } {
  const kept = records.slice(-lines);
  const [first] = kept;
  const entries = kept.flatMap(({ text }) => parseRecord(text) ?? []);
  // Where no record was found within the bound the page goes on before it.
  const begin = first === undefined ? start : start + first.at;
  const isAll = kept.length === records.length && start === 0;
  return { entries, start: isAll ? 0 : begin, bytes: last - begin };
}
