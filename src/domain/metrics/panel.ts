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

/** Group rows by session; within a session rows keep their order. Rows that come by session cost one pass. */
export function groupBySession(session: Int32Array): SessionGroups {
  const order = new Uint32Array(session.length);
  for (let row = 0; row < order.length; row += 1) order[row] = row;
  let ascending = true;
  for (let row = 1; row < session.length && ascending; row += 1) {
    ascending = (session[row - 1] as number) <= (session[row] as number);
  }
  if (!ascending) {
    order.sort((a, b) => (session[a] as number) - (session[b] as number) || a - b);
  }
  const sessions: number[] = [];
  const starts: number[] = [];
  for (let i = 0; i < order.length; i += 1) {
    const value = session[order[i] as number] as number;
    if (value === sessions.at(-1)) continue;
    sessions.push(value);
    starts.push(i);
  }
  return {
    sessions: Int32Array.from(sessions),
    starts: Uint32Array.from([...starts, order.length]),
    order,
  };
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

function takeIntegers(column: Int32Array, rows: Uint32Array): Int32Array {
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
