import type { DriftLogRow, PastExceedance } from '../../db/queries/drift.ts';
import type { DriftStatus } from '../../domain/drift-monitor.ts';
import type { MeasuredSeries } from './measure.ts';

/** Sessions after a raised flag in which no other is raised: the budget of one alarm a month. */
export const COOL_DOWN_SESSIONS = 21;

export type BaselineKind = DriftLogRow['baselineKind'];

/** A measured series with what several nights in a row make of it. */
export type JudgedSeries = MeasuredSeries & { baselineKind: BaselineKind };

/**
 * Applies the rule of nights in a row. The monitor judges tonight and the window that ended a session earlier;
 * nights before that are read from the log (`past` names the `nights - 2` sessions before, newest first).
 */
export function judgeNights(input: {
  series: readonly MeasuredSeries[];
  baselineKind: BaselineKind;
  nights: number;
  pastSessions: readonly string[];
  past: readonly PastExceedance[];
}): JudgedSeries[] {
  const { baselineKind, nights, pastSessions } = input;
  const seen = new Set(input.past.map((row) => `${row.baselineKind}/${row.feature}/${row.sessionDate}`));
  return input.series.map((one) => {
    if (!one.exceeds) return { ...one, baselineKind };
    const before = nights < 2 || one.exceededPrevious === true;
    const earlier =
      nights <= 2 ||
      (pastSessions.length === nights - 2 &&
        pastSessions.every((session) => seen.has(`${baselineKind}/${one.name}/${session}`)));
    return { ...one, baselineKind, status: before && earlier ? 'alarm' : 'elevated' };
  });
}

/** One reason why retraining may be due. */
export type FlagReason = { series: string; baseline: BaselineKind; words: string };

/** The night's retraining flag: a row with reasons, it starts nothing. */
export type FlagDecision = {
  raised: boolean;
  suppressedBy: 'cool_down' | null;
  reasons: FlagReason[];
};

/** Raises the flag for any alarm, at most once in `COOL_DOWN_SESSIONS` sessions. */
export function decideFlag(
  series: readonly JudgedSeries[],
  nights: { session: number; lastRaised: number | null },
): FlagDecision {
  const reasons = series
    .filter(({ status }) => status === 'alarm')
    .map(({ name, kind, words, baselineKind }) => ({
      series: name,
      baseline: baselineKind,
      words: `${kind} ${name.replace('prediction:', 'of ')} against the ${baselineKind} baseline: ${words}`,
    }));
  if (reasons.length === 0) return { raised: false, suppressedBy: null, reasons };
  const { session, lastRaised } = nights;
  const cooling = lastRaised !== null && session - lastRaised < COOL_DOWN_SESSIONS;
  return { raised: !cooling, suppressedBy: cooling ? 'cool_down' : null, reasons };
}

/** A series as a row of the drift log. */
export function logRowOf(one: JudgedSeries, baselineId: string): DriftLogRow {
  return {
    feature: one.name,
    baselineKind: one.baselineKind,
    baselineId,
    baselineRows: one.baselineRows,
    currentRows: one.currentRows,
    windows: one.comparisonWindows,
    psi: one.psi,
    klCurrentGivenBaseline: one.klCurrentGivenBaseline,
    klBaselineGivenCurrent: one.klBaselineGivenCurrent,
    jensenShannon: one.jsDivergence,
    ksStatistic: one.ksStatistic,
    ksPValue: one.ksPValue,
    psiCritical: one.thresholds?.psi ?? null,
    klCritical: one.thresholds?.kl ?? null,
    ksCritical: one.thresholds?.ks ?? null,
    pValue: one.pValue,
    qValue: one.adjustedPValue,
    exceeded: one.exceeds,
    alarm: one.status === 'alarm',
    status: one.status,
    details: {
      kind: one.kind,
      words: one.words,
      percentile: one.percentile,
      exceededPrevious: one.exceededPrevious,
      independentWindows: one.independentWindows,
      baselineMissingShare: one.baselineMissingShare,
      currentMissingShare: one.currentMissingShare,
    },
  };
}

export type DriftSummary = {
  status: 'ok' | 'not_enough_data' | 'alarm';
  features: number;
  monitored: number;
  stable: number;
  elevated: number;
  alarms: number;
  notEnoughData: number;
  /** Why nothing is said of them, with figures: the series of each reason. */
  undecided: { why: string; series: string[] }[];
  notMonitored: number;
  /** At most five: the largest raw PSI among watched series against the rolling baseline. */
  largest: {
    feature: string;
    psi: number | null;
    percentile: number | null;
    status: DriftStatus;
    ksStatistic: number | null;
  }[];
};

/** Counts by series; one that alarms against either baseline is an alarm. */
export function summariseDrift(series: readonly JudgedSeries[]): DriftSummary {
  const rolling = series.filter(({ baselineKind }) => baselineKind === 'rolling');
  const worst = new Map<string, DriftStatus>();
  for (const { name, status } of series) {
    const known = worst.get(name);
    if (known === undefined || RANK[status] > RANK[known]) worst.set(name, status);
  }
  const count = (wanted: DriftStatus): number =>
    [...worst.values()].filter((status) => status === wanted).length;
  const watched = rolling.filter(({ status }) => status !== 'not_monitored');
  const decided = count('stable') + count('elevated') + count('alarm');
  return {
    status: count('alarm') > 0 ? 'alarm' : decided === 0 ? 'not_enough_data' : 'ok',
    features: rolling.filter(({ kind }) => kind === 'feature').length,
    monitored: watched.length,
    stable: count('stable'),
    elevated: count('elevated'),
    alarms: count('alarm'),
    notEnoughData: count('not_enough_data'),
    undecided: undecidedOf(series.filter(({ name }) => worst.get(name) === 'not_enough_data')),
    notMonitored: count('not_monitored'),
    largest: watched
      .filter(({ psi }) => psi !== null)
      .toSorted((a, b) => (b.psi ?? -1) - (a.psi ?? -1))
      .slice(0, 5)
      .map(({ name, psi, percentile, status, ksStatistic }) => ({
        feature: name,
        psi,
        percentile,
        status,
        ksStatistic,
      })),
  };
}

function undecidedOf(series: readonly JudgedSeries[]): DriftSummary['undecided'] {
  const reasons = new Map<string, Set<string>>();
  for (const { name, words, status } of series) {
    if (status !== 'not_enough_data') continue;
    const why = words.replace('not enough data: ', '');
    reasons.set(why, (reasons.get(why) ?? new Set()).add(name));
  }
  return [...reasons].map(([why, names]) => ({ why, series: [...names] }));
}

const RANK: Record<DriftStatus, number> = {
  not_monitored: 0,
  not_enough_data: 1,
  stable: 2,
  elevated: 3,
  alarm: 4,
};
