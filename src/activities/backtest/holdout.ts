import type { Queryable } from '../../db/client.ts';
import {
  type HoldoutOpening,
  type KnownOpening,
  type LiveRow,
  readHoldoutOpenings,
  readLiveRows,
  readLiveSessions,
} from '../../db/queries/holdouts.ts';
import type { TrackRow } from '../../db/queries/outcomes.ts';
import type { ProbabilityName } from '../../db/queries/predictions.ts';
import {
  datesOfQuarter,
  type HoldoutFigures,
  type HoldoutRows,
  holdoutWords,
  quarterOf,
  quarterStates,
  type QuarterStates,
} from '../../domain/backtest/holdout.ts';
import type { ExchangeCalendar } from '../../domain/calendar.ts';
import { positions } from './track.ts';

/** A quarter that this night opens, with what it is judged on. */
export type DueHoldout = Pick<
  HoldoutOpening,
  | 'quarter'
  | 'firstSession'
  | 'lastSession'
  | 'sessions'
  | 'calendarSessions'
  | 'predictions'
  | 'withoutOutcome'
> & {
  rows: HoldoutRows;
  /** The longest of its predictions. */
  horizonSessions: number;
  issued: { modelVersions: number; labelKinds: string[]; horizonsSessions: number[] };
};

export type NightHoldouts = {
  /** Opened before, or by an earlier run of this night. */
  known: KnownOpening[];
  due: DueHoldout[];
  closed: QuarterStates['closed'];
};

/** The quarters of live predictions as the night of a session finds them. */
export async function readHoldouts(
  sql: Queryable,
  night: { universe: string; sessionDate: string; writtenThrough: string; calendar: ExchangeCalendar },
): Promise<NightHoldouts> {
  const opened = await readHoldoutOpenings(sql, night);
  const states = quarterStates({
    issued: await readLiveSessions(sql, night),
    opened: opened.map(({ quarter }) => quarter),
    sessionDate: night.sessionDate,
  });
  const due: DueHoldout[] = [];
  for (const quarter of states.due) {
    const dates = datesOfQuarter(quarter);
    const rows = await readLiveRows(sql, { ...night, ...dates });
    const calendarSessions = night.calendar.sessionsBetween(dates.first, dates.last).length;
    due.push(dueHoldout(quarter, rows, calendarSessions));
  }
  return { known: opened.filter(({ isKnown }) => isKnown), due, closed: states.closed };
}

function dueHoldout(quarter: string, rows: readonly LiveRow[], calendarSessions: number): DueHoldout {
  const sessions = positions(rows.map(({ sessionDate }) => sessionDate));
  const symbols = positions(rows.map(({ symbol }) => symbol));
  const numbers = (pick: (row: LiveRow) => number | null): Float64Array =>
    Float64Array.from(rows, (row) => pick(row) ?? Number.NaN);
  const probability = (name: ProbabilityName) => numbers(({ probabilities }) => probabilities[name]);
  const dates = [...sessions.keys()];
  const horizonsSessions = distinct(rows.map(({ horizonSessions }) => horizonSessions)).sort((a, b) => a - b);
  return {
    quarter,
    firstSession: dates[0] ?? datesOfQuarter(quarter).first,
    lastSession: dates.at(-1) ?? datesOfQuarter(quarter).last,
    sessions: sessions.size,
    calendarSessions,
    predictions: rows.length,
    withoutOutcome: rows.filter(({ forwardReturn }) => forwardReturn === null).length,
    rows: {
      panel: {
        session: Int32Array.from(rows, ({ sessionDate }) => sessions.get(sessionDate) ?? 0),
        symbol: Int32Array.from(rows, ({ symbol }) => symbols.get(symbol) ?? 0),
        block: new Int32Array(rows.length),
        // Each prediction is judged by the label it was made for.
        target: numbers((row) => (row.labelKind === 'excess' ? row.targetExcess : row.targetDirection)),
        forwardReturn: numbers(({ forwardReturn }) => forwardReturn),
        excessReturn: numbers(({ excessReturn }) => excessReturn),
        baseRate: numbers(({ baseRate }) => baseRate),
      },
      meta: probability('meta'),
      meanLogit: probability('meanLogit'),
    },
    horizonSessions: Math.max(1, ...horizonsSessions),
    issued: {
      modelVersions: distinct(rows.map(({ modelVersion }) => modelVersion)).length,
      labelKinds: distinct(rows.map(({ labelKind }) => labelKind)).sort(),
      horizonsSessions,
    },
  };
}

function distinct<T>(values: readonly T[]): T[] {
  return [...new Set(values)];
}

/** The track record without the live predictions of quarters that nobody has opened: those are not looked at. */
export function withoutClosedQuarters(
  rows: readonly TrackRow[],
  { known, due }: { known: readonly { quarter: string }[]; due: readonly { quarter: string }[] },
): TrackRow[] {
  const open = new Set([...known, ...due].map(({ quarter }) => quarter));
  return rows.filter(({ sessionDate, simulated }) => simulated || open.has(quarterOf(sessionDate)));
}

/** The rows that this night leaves, one for each quarter it opens. */
export function openingRows(
  due: readonly DueHoldout[],
  context: {
    judged: readonly { quarter: string; figures: HoldoutFigures }[];
    night: { universe: string; sessionDate: string; taskRunId: string };
    trials: number;
  },
): HoldoutOpening[] {
  const { night, trials } = context;
  return due.flatMap(({ rows: _rows, horizonSessions: _horizon, issued, ...holdout }) => {
    const figures = context.judged.find(({ quarter }) => quarter === holdout.quarter)?.figures;
    if (figures === undefined) return [];
    const { ic, logLossGain, meanLogit, gainOverMeanLogit, verdictInWords } = figures;
    return [
      {
        ...holdout,
        universe: night.universe,
        ic: ic.value,
        icLower: ic.low,
        icUpper: ic.high,
        icSessions: figures.icSessions,
        logLoss: figures.logLoss,
        baseRateLogLoss: figures.baseRateLogLoss,
        logLossGain: logLossGain.value,
        logLossGainLower: logLossGain.low,
        logLossGainUpper: logLossGain.high,
        verdict: figures.verdict,
        words: holdoutWords({ ...holdout, trials, openedSession: night.sessionDate, verdictInWords }),
        details: { meanLogit, gainOverMeanLogit, issued },
        trials,
        openedSession: night.sessionDate,
        taskRunId: night.taskRunId,
      },
    ];
  });
}

/** What the task's result and the report say: every opening the night knows, and what stays closed. */
export function holdoutResult(
  night: { sessionDate: string },
  { known, closed }: Pick<NightHoldouts, 'known' | 'closed'>,
  openings: readonly HoldoutOpening[],
) {
  const opened = [...known, ...openings].toSorted((a, b) => (a.quarter < b.quarter ? -1 : 1));
  return {
    opened: opened.map((row) => ({
      quarter: row.quarter,
      openedSession: row.openedSession,
      openedTonight: row.openedSession === night.sessionDate,
      sessions: row.sessions,
      calendarSessions: row.calendarSessions,
      predictions: row.predictions,
      withoutOutcome: row.withoutOutcome,
      ic: { value: row.ic, low: row.icLower, high: row.icUpper },
      logLoss: row.logLoss,
      baseRateLogLoss: row.baseRateLogLoss,
      logLossGain: { value: row.logLossGain, low: row.logLossGainLower, high: row.logLossGainUpper },
      verdict: row.verdict,
      trials: row.trials,
      words: row.words,
    })),
    closed: closed.map((quarter) => ({ ...quarter })),
  };
}
