import { logLossOf } from '../metrics/scores.ts';
import type { OofPanel } from '../metrics/panel.ts';

/** Stored predictions as columns; session and symbol indices of today's price grid. */
export interface StoredPredictions {
  readonly session: Int32Array;
  readonly symbol: Int32Array;
  readonly probability: Float64Array;
  /** Base rate that was current when the prediction was made. */
  readonly baseRate: Float64Array;
}

/** What really happened to a symbol after a session; `reason` says why there is no return or no target. */
export interface Outcome {
  readonly target: number | null;
  readonly forwardReturn: number | null;
  readonly excessReturn: number | null;
  readonly reason: string | null;
}

export type MaturityStatus = 'matured' | 'pending' | 'no_outcome';

export interface MaturedPrediction {
  readonly row: number;
  readonly status: MaturityStatus;
  /** Session at whose close the outcome is known. */
  readonly exitSession: number;
  readonly forwardReturn: number | null;
  readonly excessReturn: number | null;
  readonly target: number | null;
  /** Whether the more probable class happened; null without a target. */
  readonly correct: boolean | null;
  readonly logLoss: number | null;
  readonly reason: string | null;
}

export interface Maturing {
  readonly rows: readonly MaturedPrediction[];
  readonly counts: Readonly<Record<MaturityStatus, number>>;
  /** The same rows for the metrics functions, NaN where there is no outcome. */
  readonly panel: OofPanel;
}

/**
 * Match stored predictions with outcomes as of the close of a session: matured once S + h <= that session, else
 * pending; due without a return is `no_outcome` with the reason. A prediction is never asked about later than
 * `asOfSession`, so a night of the past matures what it could have matured then.
 */
export function maturePredictions(
  predictions: StoredPredictions,
  context: {
    readonly asOfSession: number;
    readonly horizonSessions: number;
    /** Called only for predictions that are due. */
    readonly outcomeOf: (session: number, symbol: number) => Outcome | undefined;
  },
): Maturing {
  const counts = { matured: 0, pending: 0, no_outcome: 0 };
  const rows = Array.from(predictions.session, (session, row): MaturedPrediction => {
    const exitSession = session + context.horizonSessions;
    if (exitSession > context.asOfSession) {
      counts.pending += 1;
      return { ...NOTHING, row, status: 'pending', exitSession };
    }
    const outcome = context.outcomeOf(session, predictions.symbol[row] as number);
    if (outcome === undefined || outcome.forwardReturn === null) {
      counts.no_outcome += 1;
      const reason = outcome?.reason ?? 'no outcome is stored';
      return { ...NOTHING, row, status: 'no_outcome', exitSession, reason };
    }
    counts.matured += 1;
    const probability = predictions.probability[row] as number;
    const { target } = outcome;
    const judged = target !== null && Number.isFinite(probability);
    return {
      row,
      status: 'matured',
      exitSession,
      forwardReturn: outcome.forwardReturn,
      excessReturn: outcome.excessReturn,
      target,
      correct: judged ? (probability > 0.5 ? 1 : 0) === target : null,
      logLoss: judged ? logLossOf(target, probability) : null,
      reason: outcome.reason,
    };
  });
  return { rows, counts, panel: panelOf(predictions, rows) };
}

const NOTHING = {
  forwardReturn: null,
  excessReturn: null,
  target: null,
  correct: null,
  logLoss: null,
  reason: null,
} as const;

function panelOf(predictions: StoredPredictions, rows: readonly MaturedPrediction[]): OofPanel {
  const column = (pick: (row: MaturedPrediction) => number | null): Float64Array =>
    Float64Array.from(rows, (row) => pick(row) ?? Number.NaN);
  return {
    session: predictions.session,
    symbol: predictions.symbol,
    block: new Int32Array(rows.length),
    target: column(({ target }) => target),
    forwardReturn: column(({ forwardReturn }) => forwardReturn),
    excessReturn: column(({ excessReturn }) => excessReturn),
    baseRate: predictions.baseRate,
  };
}
