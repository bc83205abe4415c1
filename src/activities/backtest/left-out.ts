import { BAR_STATES } from '../../domain/labels.ts';

/** Symbols that one test block left out of both variants, by decision session. */
export type LeftOut = {
  block: number;
  rows: number;
  sessions: number;
  firstSession: string;
  lastSession: string;
};

/**
 * Rows without a prediction because their decision bar is doubtful by now. Some doubts came only later: that night
 * would have scored the symbol, so leaving it out is hindsight, of which this is the size. Per test block.
 */
export function countLeftOut(
  oof: { session: Int32Array; block: Int32Array },
  panel: { sessions: readonly string[]; states: readonly Uint8Array[] },
): LeftOut[] {
  const spans = new Map<number, { first: number; last: number }>();
  for (const [row, session] of oof.session.entries()) {
    const block = oof.block[row] ?? 0;
    const span = spans.get(block);
    spans.set(block, {
      first: Math.min(span?.first ?? session, session),
      last: Math.max(span?.last ?? session, session),
    });
  }
  return [...spans.entries()]
    .toSorted(([a], [b]) => a - b)
    .map(([block, { first, last }]) => {
      let rows = 0;
      for (const states of panel.states) {
        for (let session = first; session <= last; session += 1) {
          rows += Number(states[session] === BAR_STATES.flagged);
        }
      }
      const firstSession = panel.sessions[first] ?? 'unknown';
      const lastSession = panel.sessions[last] ?? 'unknown';
      return { block, rows, sessions: last - first + 1, firstSession, lastSession };
    });
}

/** One sentence for the notes of a backtest. */
export function leftOutInWords(blocks: readonly LeftOut[]): string {
  const total = blocks.reduce((sum, { rows }) => sum + rows, 0);
  const each = blocks.map(({ firstSession, rows }) => `${rows} from ${firstSession}`).join(', ');
  return (
    `${total} rows whose decision bar is doubtful by now were not predicted and are in neither variant` +
    (blocks.length === 0 ? '' : ` (by test block: ${each})`) +
    '; where the doubt came later this is hindsight'
  );
}
