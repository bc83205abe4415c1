import { evaluatePredictions, type MetricOptions, pairedLogLossGain } from '../metrics/evaluate.ts';
import type { OofPanel } from '../metrics/panel.ts';
import { bootstrapBlockLength, type Estimate } from '../statistics/bootstrap.ts';
import { decideVerdicts } from '../verdict.ts';

/** Calendar quarter of a session date, `2017-Q4`; quarters sort as text. */
export function quarterOf(sessionDate: string): string {
  return `${sessionDate.slice(0, 4)}-Q${Math.ceil(Number(sessionDate.slice(5, 7)) / 3)}`;
}

/** First and last calendar day of a quarter. */
export function datesOfQuarter(quarter: string): { first: string; last: string } {
  const year = quarter.slice(0, 4);
  const lastMonth = 3 * Number(quarter.slice(6));
  const month = (number: number): string => String(number).padStart(2, '0');
  const days = lastMonth === 3 || lastMonth === 12 ? 31 : 30;
  return { first: `${year}-${month(lastMonth - 2)}-01`, last: `${year}-${month(lastMonth)}-${days}` };
}

/** Live predictions of one session, and how many have an outcome, or a reason why there is none, as of the night. */
export interface IssuedSession {
  readonly sessionDate: string;
  readonly predictions: number;
  readonly settled: number;
}

/** Quarters with live predictions as a night finds them. */
export interface QuarterStates {
  /** Past, all outcomes there, never looked at: this night opens them. */
  readonly due: readonly string[];
  /** Not to be looked at yet. */
  readonly closed: readonly {
    readonly quarter: string;
    readonly sessions: number;
    readonly predictions: number;
    readonly why: string;
  }[];
}

/** Which quarters the night of `sessionDate` opens, and which stay closed and why. */
export function quarterStates(input: {
  readonly issued: readonly IssuedSession[];
  /** Quarters that were opened, by whichever night. */
  readonly opened: readonly string[];
  readonly sessionDate: string;
}): QuarterStates {
  const current = quarterOf(input.sessionDate);
  const found = new Map<string, { sessions: number; predictions: number; pending: number }>();
  for (const { sessionDate, predictions, settled } of input.issued) {
    const quarter = quarterOf(sessionDate);
    if (quarter > current || input.opened.includes(quarter)) continue;
    const sum = found.get(quarter) ?? { sessions: 0, predictions: 0, pending: 0 };
    found.set(quarter, {
      sessions: sum.sessions + 1,
      predictions: sum.predictions + predictions,
      pending: sum.pending + predictions - settled,
    });
  }
  const states = [...found].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const why = (quarter: string, pending: number): string | null => {
    if (quarter === current) return 'the quarter is not over';
    if (pending === 0) return null;
    return pending === 1
      ? '1 prediction waits for its outcome'
      : `${pending} predictions wait for their outcome`;
  };
  return {
    due: states.flatMap(([quarter, { pending }]) => (why(quarter, pending) === null ? [quarter] : [])),
    closed: states.flatMap(([quarter, { sessions, predictions, pending }]) => {
      const reason = why(quarter, pending);
      return reason === null ? [] : [{ quarter, sessions, predictions, why: reason }];
    }),
  };
}

/** Live predictions of one quarter beside their outcomes; NaN where there is none. */
export interface HoldoutRows {
  readonly panel: OofPanel;
  readonly meta: Float64Array;
  readonly meanLogit: Float64Array;
}

type Interval = Pick<Estimate, 'value' | 'low' | 'high'>;

/** What a quarter of live predictions was worth, plain JSON. */
export interface HoldoutFigures {
  readonly ic: Interval;
  readonly icSessions: number;
  readonly logLoss: number | null;
  readonly baseRateLogLoss: number | null;
  /** Of the base rate each prediction was issued with, minus that of the stack. */
  readonly logLossGain: Interval;
  readonly meanLogit: {
    readonly ic: Interval;
    readonly logLoss: number | null;
    readonly logLossGain: Interval;
  };
  /** Log loss of the mean of base log-odds minus that of the stack. */
  readonly gainOverMeanLogit: Interval;
  readonly verdict: 'edge' | 'no_edge';
  readonly verdictInWords: string;
}

/**
 * Judges the stack on the live predictions of one quarter as `decideVerdicts` judges models, without a correction for
 * several of them: one score, looked at once. Intervals resample sessions.
 */
export function evaluateHoldout(rows: HoldoutRows, options: MetricOptions): HoldoutFigures {
  const { panel, meta, meanLogit } = rows;
  const stack = evaluatePredictions(panel, meta, options);
  const mean = evaluatePredictions(panel, meanLogit, options);
  const baseRate = evaluatePredictions(panel, panel.baseRate, options);
  const over = pairedLogLossGain(panel, { candidate: meta, reference: meanLogit }, options);
  const [verdict] = decideVerdicts([{ name: 'meta', ...stack }], { trials: 1 });
  return {
    ic: interval(stack.ic),
    icSessions: stack.icSessions,
    logLoss: stack.logLoss.value,
    baseRateLogLoss: baseRate.logLoss.value,
    logLossGain: interval(stack.logLossGain),
    meanLogit: {
      ic: interval(mean.ic),
      logLoss: mean.logLoss.value,
      logLossGain: interval(mean.logLossGain),
    },
    gainOverMeanLogit: interval(over),
    verdict: verdict?.verdict ?? 'no_edge',
    verdictInWords: verdict?.words ?? '',
  };
}

/** Each quarter on its own, with intervals that suit the longest horizon it was issued for. */
export function judgeHoldouts(
  holdouts: readonly {
    readonly quarter: string;
    readonly rows: HoldoutRows;
    readonly horizonSessions: number;
  }[],
  options: { readonly replicates: number; readonly seed: number },
): { quarter: string; figures: HoldoutFigures }[] {
  return holdouts.map(({ quarter, rows, horizonSessions }) => {
    const blockLength = bootstrapBlockLength(horizonSessions);
    return { quarter, figures: evaluateHoldout(rows, { ...options, horizonSessions, blockLength }) };
  });
}

function interval({ value, low, high }: Estimate): Interval {
  return { value, low, high };
}

/** One sentence for the row and the report. */
export function holdoutWords(input: {
  readonly quarter: string;
  readonly sessions: number;
  readonly calendarSessions: number;
  readonly predictions: number;
  readonly withoutOutcome: number;
  readonly trials: number;
  readonly openedSession: string;
  readonly verdictInWords: string;
}): string {
  const { quarter, sessions, calendarSessions, predictions, withoutOutcome } = input;
  const count = (value: number): string => value.toLocaleString('en-US');
  const missing = withoutOutcome === 0 ? '' : ` (${count(withoutOutcome)} without an outcome)`;
  return (
    `Holdout ${quarter}, opened once by the night of ${input.openedSession}: ${count(predictions)} predictions${missing} ` +
    `issued before their outcome on ${sessions} of ${calendarSessions} sessions; ${count(input.trials)} trials were counted by ` +
    `then. ${input.verdictInWords}`
  );
}
