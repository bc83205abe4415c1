/** Log lines of a process that ended, at most this many: the whole story is in its log file. */
const LAST_WORDS = 3;
const SERIOUS = new Set(['WARNING', 'ERROR', 'CRITICAL']);

/** What the runtime tells while a command runs, as lines for a person. */
export type Notes = {
  note: (text: string) => void;
  /** Sends lines elsewhere while something is drawn on the terminal; null: to the error output again. */
  divert: (say: ((lines: string[]) => void) | null) => void;
};

/** Notes go to the error output until they are diverted. */
export function createNotes(): Notes {
  const toErrorOutput = (lines: string[]): void => console.error(lines.join('\n'));
  let say = toErrorOutput;
  return {
    note: (text) => say(readableNote(text)),
    divert: (other) => {
      say = other ?? toErrorOutput;
    },
  };
}

/**
 * A note without the machine's log lines: of the last words of a process that ended, warnings and errors stay, as
 * their messages.
 */
export function readableNote(text: string): string[] {
  const [first = '', ...rest] = text.split('\n');
  const words = rest.flatMap((line) => {
    const message = loggedMessage(line.trim());
    return message === null ? [] : [`  ${message}`];
  });
  return [first, ...words.slice(-LAST_WORDS)];
}

/** The message of a serious log line, null for any other; a line that is no log line stays as it is. */
function loggedMessage(line: string): string | null {
  if (!line.startsWith('{')) return line === '' ? null : line;
  try {
    const { level, msg }: { level?: unknown; msg?: unknown } = JSON.parse(line);
    return typeof msg === 'string' && SERIOUS.has(String(level)) ? msg : null;
  } catch {
    return line;
  }
}
