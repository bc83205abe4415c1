import { LogFiles } from '../runtime/log-files.ts';
import { parseLogLine } from '../runtime/log-record.ts';

/**
 * Where a worker on its own writes its lines besides printing them: files per task in the documents' format, in a
 * folder that is its alone. A disk that is full or closed ends no work: `onProblem` hears of it once until a line is
 * written again.
 */
export function openOwnLogFiles(options: {
  folder: string;
  /** The worker's name. */
  source: string;
  onProblem: (text: string) => void;
}): (line: string) => void {
  const { folder, source, onProblem } = options;
  let files: LogFiles | null = null;
  let failing = false;
  return (line) => {
    try {
      files ??= new LogFiles(folder);
      files.write(parseLogLine({ line, source, stream: 'stdout' }));
      failing = false;
    } catch (error) {
      if (failing) return;
      failing = true;
      onProblem(error instanceof Error ? error.message : String(error));
    }
  };
}
