/** Out-of-fold rows as columns of equal length, in any order; NaN means not known. */
export interface OofPanel {
  /** Session index of the dataset, ascending in time. */
  readonly session: Int32Array;
  readonly symbol: Int32Array;
  readonly block: Int32Array;
  /** 0, 1 or NaN. */
  readonly target: Float64Array;
  /** Return from the open of S+1 to the close of S+h. */
  readonly forwardReturn: Float64Array;
  readonly excessReturn: Float64Array;
  /** Share of ones in the training window of the row's block. */
  readonly baseRate: Float64Array;
}

/** Rows gathered by session: `order[starts[g] .. starts[g+1])` are the rows of `sessions[g]`. */
export interface SessionGroups {
  /** Distinct sessions, ascending. */
  readonly sessions: Int32Array;
  readonly starts: Uint32Array;
  readonly order: Uint32Array;
}

/** Group rows by session; within a session rows keep their order. */
export function groupBySession(session: Int32Array): SessionGroups {
  const sessions = Int32Array.from(new Set(session)).sort();
  const groupOf = new Map<number, number>();
  sessions.forEach((value, group) => groupOf.set(value, group));
  const starts = new Uint32Array(sessions.length + 1);
  const group = Uint32Array.from(session, (value) => groupOf.get(value) ?? 0);
  for (const g of group) starts[g + 1] = (starts[g + 1] as number) + 1;
  for (let g = 0; g < sessions.length; g += 1) {
    starts[g + 1] = (starts[g + 1] as number) + (starts[g] as number);
  }
  const next = starts.slice();
  const order = new Uint32Array(session.length);
  group.forEach((g, row) => {
    const position = next[g] as number;
    order[position] = row;
    next[g] = position + 1;
  });
  return { sessions, starts, order };
}

/** The panel with only the given rows, in that order. */
export function takeRows(panel: OofPanel, rows: Uint32Array): OofPanel {
  return {
    session: takeIntegers(panel.session, rows),
    symbol: takeIntegers(panel.symbol, rows),
    block: takeIntegers(panel.block, rows),
    target: takeNumbers(panel.target, rows),
    forwardReturn: takeNumbers(panel.forwardReturn, rows),
    excessReturn: takeNumbers(panel.excessReturn, rows),
    baseRate: takeNumbers(panel.baseRate, rows),
  };
}

export function takeNumbers(column: Float64Array, rows: Uint32Array): Float64Array {
  const taken = new Float64Array(rows.length);
  for (let i = 0; i < rows.length; i += 1) taken[i] = column[rows[i] as number] as number;
  return taken;
}

export function takeIntegers(column: Int32Array, rows: Uint32Array): Int32Array {
  const taken = new Int32Array(rows.length);
  for (let i = 0; i < rows.length; i += 1) taken[i] = column[rows[i] as number] as number;
  return taken;
}

/** Row numbers for which `keep` holds. */
export function rowsWhere(length: number, keep: (row: number) => boolean): Uint32Array {
  const rows = new Uint32Array(length);
  let n = 0;
  for (let row = 0; row < length; row += 1) {
    if (keep(row)) {
      rows[n] = row;
      n += 1;
    }
  }
  return rows.slice(0, n);
}

/** Throws RangeError naming the first column that is not as long as `session`. */
export function assertSameLength(session: Int32Array, columns: Record<string, ArrayLike<number>>): void {
  for (const [name, column] of Object.entries(columns)) {
    if (column.length !== session.length) {
      throw new RangeError(`${name} has ${column.length} rows, session has ${session.length}`);
    }
  }
}
