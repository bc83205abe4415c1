import { readFile } from 'node:fs/promises';

export type LogLine = { logger: string; level: string; fields: Record<string, unknown> };

/** Lines of a log file, `[time] logger - LEVEL - words {fields}`; further lines of a message are left out. */
export async function readLogLines(path: string): Promise<LogLine[]> {
  const lines = (await readFile(path, 'utf8')).split('\n').filter((line) => line.startsWith('['));
  return lines.map((line) => {
    const [, logger = '', level = '', words = ''] = /^\[[^\]]+\] (\S+) - ([A-Z]+) - (.*)$/.exec(line) ?? [];
    const [json = '{}'] = /\{.*\}$/.exec(words) ?? [];
    const fields: unknown = JSON.parse(json);
    return { logger, level, fields: typeof fields === 'object' && fields !== null ? { ...fields } : {} };
  });
}
