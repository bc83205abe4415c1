import type { DatasetManifest } from '../../contracts/schemas/ml.ts';
import type { IssuedPrediction } from '../../db/queries/drift.ts';
import { type OofTable, SCORED, type Scored } from '../datasets/tables.ts';
import { layOutBySession, runStart, type SessionColumn, type SessionRange } from './series.ts';
import { type Stack, stackProbabilities } from './stack.ts';

type Axis = Pick<DatasetManifest, 'sessions' | 'scoreSessionIndex' | 'horizonSessions'>;

/** Out-of-fold probabilities of one model and those issued in the last sessions, on the night's axis. */
export type PredictionSeries = {
  model: string;
  excludedBecause: string | null;
  baseline: SessionColumn & SessionRange;
  current: SessionColumn & SessionRange;
  /** Past windows count half a window apart: five quarters hold no twenty that do not overlap. */
  strideSessions: number;
  /** Fold models behind the baseline. Each has a level and a spread of its own, so they bound the independent windows. */
  baselineModels: number;
};

/** The current version's out-of-fold table, the sessions its rows name, and its stack. */
export type OutOfFold = { table: OofTable; sessions: readonly string[]; stack: Stack };

/**
 * One series per model and for both ways to combine them: out-of-fold probabilities of the current version as
 * baseline, predictions as issued as the current window. The stack's baseline is the version's own stack over those
 * of the base models: the out-of-fold stacks are others, and exist for the later blocks only. `oof` is null where no
 * version is current.
 */
export function predictionSeries(input: {
  axis: Axis;
  windowSessions: number;
  oof: OutOfFold | null;
  issued: readonly IssuedPrediction[];
}): PredictionSeries[] {
  const { axis, oof, issued, windowSessions } = input;
  const session = axis.scoreSessionIndex;
  const indexOf = new Map(axis.sessions.map((date, index) => [date, index]));
  const onAxis = (date: string | undefined): number => indexOf.get(date ?? '') ?? -1;
  const issuedSession = issued.map(({ sessionDate }) => onAxis(sessionDate));
  const oofSession =
    oof === null ? new Int32Array() : oof.table.panel.session.map((row) => onAxis(oof.sessions[row]));
  const last = session - windowSessions - axis.horizonSessions;
  const blocks = new Set(oof?.table.panel.block.filter((_, row) => (oofSession[row] ?? session) <= last));
  return SCORED.map((model): PredictionSeries => {
    const past = layOutBySession(
      { session: oofSession, values: baselineOf(oof, model) },
      axis.sessions.length,
    );
    const values = issued.map(({ probabilities }) => probabilities[model] ?? Number.NaN);
    const now = layOutBySession({ session: issuedSession, values }, axis.sessions.length);
    return {
      model,
      excludedBecause: exclusionOf(oof, model),
      baseline: { ...past, firstSession: firstWithRows(past.rowStarts, last), lastSession: last },
      current: { ...now, firstSession: runStart(now.rowStarts, session), lastSession: session },
      strideSessions: Math.ceil(windowSessions / 2),
      baselineModels: blocks.size,
    };
  });
}

function baselineOf(oof: OutOfFold | null, model: Scored): Float64Array {
  if (oof === null) return new Float64Array();
  const { probabilities } = oof.table;
  return model === 'meta' ? stackProbabilities(oof.stack, probabilities) : probabilities[model];
}

/** A stack that is not used issues the base rate, which is no prediction. */
function exclusionOf(oof: OutOfFold | null, model: Scored): string | null {
  if (model !== 'meta' || oof === null || oof.stack.usable) return null;
  return `the stack issues the base rate: ${oof.stack.reason ?? 'it is not usable'}`;
}

/** First session with a row, at most one after `last`: then the range is empty. */
function firstWithRows(rowStarts: Int32Array, last: number): number {
  const end = Math.max(-1, last);
  for (let session = 0; session <= end; session += 1) {
    if ((rowStarts[session + 1] ?? 0) > 0) return session;
  }
  return end + 1;
}
