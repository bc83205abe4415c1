import type { MaturedRow, OpenPrediction } from '../../db/queries/outcomes.ts';
import { maturePredictions } from '../../domain/backtest/maturing.ts';
import { LABEL_REASONS, type LabelReason, type Labels } from '../../domain/labels.ts';

/** Reasons that a bar which comes late can still undo; a usable one settles quarantine too. */
const MAY_COME: readonly LabelReason[] = [
  'entryMissing',
  'exitMissing',
  'entryQuarantined',
  'exitQuarantined',
];

/** An outcome before it is known which nights it holds for. */
export type MadeOutcome = Omit<
  MaturedRow,
  'taskRunId' | 'outcomeVersion' | 'availableSession' | 'invalidFrom' | 'invalidReason'
> & {
  /** Its exit session, or the one with which waiting for its prices ended. */
  earliestSession: string;
};

type Panel = {
  sessions: readonly string[];
  symbols: readonly string[];
  open: readonly Float64Array[];
  close: readonly Float64Array[];
};

/**
 * Outcomes of predictions as of the panel's last session: one row for each that has one or will never have one.
 * A missing or quarantined price is final only `waitSessions` sessions after the exit; until then the prediction stays open.
 */
export function outcomesOf(input: {
  predictions: readonly OpenPrediction[];
  panel: Panel;
  /** Of that panel and horizon. */
  labels: Labels;
  horizonSessions: number;
  waitSessions: number;
}): MadeOutcome[] {
  const { panel, labels, horizonSessions } = input;
  const sessionOf = new Map(panel.sessions.map((session, index) => [session, index]));
  const symbolOf = new Map(panel.symbols.map((symbol, index) => [symbol, index]));
  const known = input.predictions.filter(({ sessionDate }) => sessionOf.has(sessionDate));
  const asOfSession = panel.sessions.length - 1;
  const matured = maturePredictions(
    {
      session: Int32Array.from(known, ({ sessionDate }) => sessionOf.get(sessionDate) ?? 0),
      symbol: Int32Array.from(known, ({ symbol }) => symbolOf.get(symbol) ?? -1),
      probability: new Float64Array(known.length).fill(Number.NaN),
      baseRate: new Float64Array(known.length).fill(Number.NaN),
    },
    {
      asOfSession,
      horizonSessions,
      outcomeOf: (session, symbol) => outcomeOf(labels, symbol, session * panel.symbols.length + symbol),
    },
  );
  return matured.rows.flatMap((outcome) => {
    const prediction = known[outcome.row];
    if (prediction === undefined || outcome.status === 'pending') return [];
    const mayCome = outcome.status === 'no_outcome' && MAY_COME.some((reason) => reason === outcome.reason);
    const earliest = outcome.exitSession + (mayCome ? input.waitSessions : 0);
    if (earliest > asOfSession) return [];
    const session = outcome.exitSession - horizonSessions;
    const symbol = symbolOf.get(prediction.symbol) ?? -1;
    const row = session * panel.symbols.length + symbol;
    return [
      {
        sessionDate: prediction.sessionDate,
        universe: prediction.universe,
        universeVersion: prediction.universeVersion,
        modelVersion: prediction.modelVersion,
        revision: prediction.revision,
        symbol: prediction.symbol,
        simulated: prediction.simulated,
        entrySession: panel.sessions[session + 1] ?? prediction.sessionDate,
        exitSession: panel.sessions[outcome.exitSession] ?? prediction.sessionDate,
        earliestSession: panel.sessions[earliest] ?? prediction.sessionDate,
        entryPrice: finite(panel.open[symbol]?.[session + 1]),
        exitPrice: finite(panel.close[symbol]?.[outcome.exitSession]),
        forwardReturn: outcome.forwardReturn,
        excessReturn: outcome.excessReturn,
        targetDirection: symbol < 0 ? null : finite(labels.targetDirection[row]),
        targetExcess: symbol < 0 ? null : finite(labels.targetExcess[row]),
        missingReason: outcome.status === 'matured' ? null : outcome.reason,
      },
    ];
  });
}

function outcomeOf(labels: Labels, symbol: number, row: number) {
  if (symbol < 0) return undefined;
  return {
    target: null,
    forwardReturn: finite(labels.forwardReturn[row]),
    excessReturn: finite(labels.excessReturn[row]),
    reason: LABEL_REASONS[labels.directionReason[row] ?? 0] ?? null,
  };
}

function finite(value: number | undefined): number | null {
  return value !== undefined && Number.isFinite(value) ? value : null;
}
