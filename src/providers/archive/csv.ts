/**
 * Rows of a small CSV file with a header line as records. Quotes as in RFC 4180, no line breaks inside.
 * Throws if a line has another number of cells than the header, or a wanted column is missing.
 */
export function parseCsv<Column extends string>(
  text: string,
  columns: readonly Column[],
): readonly Record<Column, string>[] {
  const [header, ...lines] = text.split(/\r?\n/).filter((line) => line !== '');
  const names = splitLine(header ?? '');
  const positions = columns.map((column) => {
    const position = names.indexOf(column);
    if (position < 0) throw new Error(`column ${column} is missing (there are ${names.join(', ')})`);
    return { column, position };
  });
  return lines.map((line, index) => {
    const cells = splitLine(line);
    if (cells.length !== names.length) {
      throw new Error(`line ${index + 2} has ${cells.length} cells instead of ${names.length}: ${line}`);
    }
    const record: Partial<Record<Column, string>> = {};
    for (const { column, position } of positions) record[column] = cells[position] ?? '';
    return record as Record<Column, string>;
  });
}

function splitLine(line: string): string[] {
  if (!line.includes('"')) return line.split(',');
  const cells: string[] = [];
  let cell = '';
  let quoted = false;
  for (let i = 0; i < line.length; i++) {
    const character = line.charAt(i);
    if (character === '"' && quoted && line.charAt(i + 1) === '"') {
      cell += '"';
      i++;
    } else if (character === '"') quoted = !quoted;
    else if (character === ',' && !quoted) {
      cells.push(cell);
      cell = '';
    } else cell += character;
  }
  if (quoted) throw new Error(`quote never closed: ${line}`);
  cells.push(cell);
  return cells;
}
