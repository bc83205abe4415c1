import { BAR_STATES, computeLabels, type LabelKind, type Labels } from '../../domain/labels.ts';
import type { OofPanel } from '../../domain/metrics/panel.ts';
import type { MarketPanel } from '../datasets/market-panel.ts';

/** Labels as if no bar were doubtful: what reports give beside the real ones. */
export function labelsWithFlagged(panel: MarketPanel, horizonSessions: number): Labels {
  const states = panel.states.map((column) =>
    column.map((state) => (state === BAR_STATES.flagged ? BAR_STATES.usable : state)),
  );
  const { sessions, symbols, open, close } = panel;
  const listed = panel.listedFrom === undefined ? {} : { listedFrom: panel.listedFrom };
  return computeLabels({ sessions, symbols, open, close, states, horizonSessions, ...listed });
}

/** The same out-of-fold rows with the outcomes of other labels; indices are those of the panel. */
export function withOutcomes(
  oof: OofPanel,
  labels: Labels,
  options: { symbols: number; labelKind: LabelKind },
): OofPanel {
  const target = options.labelKind === 'excess' ? labels.targetExcess : labels.targetDirection;
  const pick = (column: Float64Array): Float64Array =>
    Float64Array.from(
      oof.session,
      (session, row) => column[session * options.symbols + (oof.symbol[row] ?? 0)] ?? Number.NaN,
    );
  return {
    ...oof,
    target: pick(target),
    forwardReturn: pick(labels.forwardReturn),
    excessReturn: pick(labels.excessReturn),
  };
}
