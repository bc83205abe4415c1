/** How a square of the map looks: how far towards the bound of its alarm, and whether it was one. */
export type Level = { tone: string; sign: string; words: string };

/** Shares of the critical value from which a square is one shade darker. */
const STEPS = [0.25, 0.5, 0.75, 1] as const;

/** The look of one series in one session. */
export function levelOf(cell: { status: string; psi: number | null; psiCritical: number | null }): Level {
  const { status } = cell;
  if (status === 'alarm') return { tone: 'h5', sign: '!', words: 'alarm' };
  if (status === 'elevated') return { tone: 'h4', sign: '+', words: 'elevated' };
  if (status === 'not_enough_data') return { tone: '', sign: '·', words: 'not enough data' };
  if (status === 'not_monitored') return { tone: '', sign: '–', words: 'not monitored' };
  const share = shareOf(cell) ?? 0;
  const step = STEPS.filter((bound) => share >= bound).length;
  return { tone: `h${Math.min(step, 3)}`, sign: '', words: 'stable' };
}

const WORST_FIRST = ['alarm', 'elevated', 'stable', 'not_enough_data', 'not_monitored'];

/** Series as a person looks for them: alarms first, then those nearest to their bound; equal ones as they were. */
export function nearestFirst<Row extends { status: string; psi: number | null; psiCritical: number | null }>(
  rows: readonly Row[],
): Row[] {
  return rows.toSorted(
    (a, b) =>
      WORST_FIRST.indexOf(a.status) - WORST_FIRST.indexOf(b.status) ||
      (shareOf(b) ?? -1) - (shareOf(a) ?? -1),
  );
}

/** PSI as a share of its bound; null where one of them is not known. */
function shareOf({ psi, psiCritical }: { psi: number | null; psiCritical: number | null }): number | null {
  return psi === null || psiCritical === null || psiCritical <= 0 ? null : psi / psiCritical;
}
