/**
 * ` --data-dir DIR` for commands that people are told to type, ready for a shell; empty for the default folder
 * (undefined).
 */
export function folderOption(dataDir: string | undefined): string {
  if (dataDir === undefined) return '';
  const isPlain = /^[\w./~:@%+=,-]+$/.test(dataDir);
  return ` --data-dir ${isPlain ? dataDir : `'${dataDir.replaceAll("'", String.raw`'\''`)}'`}`;
}
