import type { DatasetManifest } from '../../contracts/schemas/ml.ts';
import type { IssuedPrediction } from '../../db/queries/drift.ts';
import { type OofTable, SCORED } from '../datasets/tables.ts';
import type { PredictionSeries } from './measure.ts';
import { layOutBySession, runStart } from './series.ts';

type Axis = Pick<DatasetManifest, 'sessions' | 'scoreSessionIndex' | 'horizonSessions'>;

/**
 * One series per model and for both ways to combine them: out-of-fold probabilities of the current version as
 * baseline, predictions as issued as the current window. `oof` is null where no version is current.
 */
export function predictionSeries(input: {
  axis: Axis;
  windowSessions: number;
  oof: { table: OofTable; sessions: readonly string[] } | null;
  issued: readonly IssuedPrediction[];
}): PredictionSeries[] {
  const { axis, oof, issued } = input;
  const indexOf = new Map(axis.sessions.map((session, index) => [session, index]));
  const onAxis = (session: string | undefined): number => indexOf.get(session ?? '') ?? -1;
  const issuedSession = issued.map(({ sessionDate }) => onAxis(sessionDate));
  const oofSession =
    oof === null ? new Int32Array() : oof.table.panel.session.map((session) => onAxis(oof.sessions[session]));
  const last = axis.scoreSessionIndex - input.windowSessions - axis.horizonSessions;
  return SCORED.map((model): PredictionSeries => {
    const past = layOutBySession(
      { session: oofSession, values: oof?.table.probabilities[model] ?? [] },
      axis.sessions.length,
    );
    const values = issued.map(({ probabilities }) => probabilities[model] ?? Number.NaN);
    const now = layOutBySession({ session: issuedSession, values }, axis.sessions.length);
    const session = axis.scoreSessionIndex;
    return {
      model,
      baseline: { ...past, firstSession: firstWithRows(past.rowStarts, last), lastSession: last },
      current: { ...now, firstSession: runStart(now.rowStarts, session), lastSession: session },
    };
  });
}

/** First session with a row, at most one after `last`: then the range is empty. */
function firstWithRows(rowStarts: Int32Array, last: number): number {
  const end = Math.max(-1, last);
  for (let session = 0; session <= end; session += 1) {
    if ((rowStarts[session + 1] ?? 0) > 0) return session;
  }
  return end + 1;
}
