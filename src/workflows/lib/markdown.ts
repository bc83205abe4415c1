/** The Web UI draws tables without any space between columns. */
const GAP = '\u2003';

/** A row of a table of Markdown. */
export function tableRow(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell + GAP).join('| ')}|`;
}
