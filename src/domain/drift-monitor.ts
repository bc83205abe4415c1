import { calibratedPValue, calibrate, compareWindow } from './drift-windows.ts';
import type {
  CalibratedP,
  Calibration,
  DriftStatistic,
  SessionValues,
  WindowComparison,
} from './drift-windows.ts';
import { toJsonNumber } from './statistics/json.ts';
import { benjaminiHochberg } from './statistics/multiple-testing.ts';

export { baselineRange } from './drift-windows.ts';
export type { DriftStatistic, SessionValues } from './drift-windows.ts';

/** A series under watch; all ranges count sessions on the same axis. */
export interface MonitoredSeries {
  readonly name: string;
  /** Features and predictions are corrected for multiple testing apart. */
  readonly kind: 'feature' | 'prediction';
  /** Why the series must not be monitored (a calendar feature, say); ranks come as the value before ranking. */
  readonly excludedBecause?: string;
  /** Training sessions (predictions: out-of-fold ones) that end at least window + h before the night's session. */
  readonly baseline: SessionValues;
  /** Recent sessions, the last one is the night's; two nights in a row need one more than the window. */
  readonly current: SessionValues;
  /** Sessions from one counted past window to the next; default the window, half of it where history is short. */
  readonly strideSessions?: number;
  /** Fold models behind a baseline of predictions: what windows of one model share is not independent. */
  readonly baselineModels?: number;
  /** Of this baseline with these options, made already: many nights in a row may share it. */
  readonly calibration?: Calibration;
}

export interface DriftMonitorOptions {
  readonly horizonSessions: number;
  /** Sessions compared with the baseline; default 20. */
  readonly windowSessions?: number;
  readonly bins?: number;
  readonly floor?: number;
  /** Statistic that alarms; default psi. All are logged. */
  readonly statistic?: DriftStatistic;
  /** Percentile of past windows an alarm must exceed; default 0.99. */
  readonly percentile?: number;
  /** Benjamini-Hochberg level over the series of a kind; default 0.05. */
  readonly falseDiscoveryRate?: number;
  /** Past windows, a stride apart, below which nothing is said; default 20. */
  readonly minComparisonWindows?: number;
  /** Values (not missing) a window needs; default 100. */
  readonly minWindowValues?: number;
  /** PSI below which a shift is too small to matter, however unusual; default 0.1. */
  readonly effectFloor?: number;
  /** Sessions after a raised flag in which no other is raised: the budget of one a month; default 21. */
  readonly coolDownSessions?: number;
  /** Newest session before this one on which the flag was raised, as known at this night; null for none. */
  readonly lastRaisedSession?: number | null;
}

export type DriftStatus = 'stable' | 'elevated' | 'alarm' | 'not_enough_data' | 'not_monitored';

/** One series of one night, plain JSON. */
export interface SeriesDrift {
  readonly name: string;
  readonly kind: MonitoredSeries['kind'];
  readonly status: DriftStatus;
  readonly words: string;
  /** Raw statistics: logged, never alarming by themselves. Null where there was nothing to compare. */
  readonly psi: number | null;
  readonly klCurrentGivenBaseline: number | null;
  readonly klBaselineGivenCurrent: number | null;
  readonly jsDivergence: number | null;
  readonly ksStatistic: number | null;
  /** Supposes independent rows, which symbols of a session are not. */
  readonly ksPValue: number | null;
  readonly baselineRows: number;
  readonly currentRows: number;
  readonly baselineMissingShare: number | null;
  readonly currentMissingShare: number | null;
  readonly comparisonWindows: number;
  readonly independentWindows: number;
  /** The percentile of past windows, per statistic. */
  readonly thresholds: Readonly<Record<DriftStatistic, number>> | null;
  /** Share of past windows not above the alarm statistic of this one. */
  readonly percentile: number | null;
  readonly pValue: number | null;
  readonly adjustedPValue: number | null;
  readonly exceeds: boolean;
  /** The same judgement for the window that ended a session earlier; null where it could not be made. */
  readonly exceededPrevious: boolean | null;
}

/** A row with reasons; it starts nothing. */
export interface RetrainingFlag {
  readonly raised: boolean;
  /** Set when there were reasons, but the last flag is too recent. */
  readonly suppressedBy: 'cool_down' | null;
  readonly reasons: readonly { readonly series: string; readonly words: string }[];
}

export interface DriftReport {
  /** Session index of the night. */
  readonly session: number | null;
  readonly statistic: DriftStatistic;
  readonly series: readonly SeriesDrift[];
  readonly counts: Readonly<Record<DriftStatus, number>>;
  readonly retraining: RetrainingFlag;
}

type Settings = Required<Omit<DriftMonitorOptions, 'lastRaisedSession'>>;

interface Judged {
  readonly series: MonitoredSeries;
  readonly calibration: Calibration;
  readonly tonight: WindowComparison;
  readonly past: Readonly<Record<DriftStatistic, CalibratedP>>;
  /** p-value and statistics of the window that ended one session earlier. */
  readonly previous: { readonly comparison: WindowComparison; readonly calibrated: CalibratedP } | null;
}

/**
 * Compare the last sessions of every series with its baseline (definitions.md, Drift). A series alarms when its statistic
 * exceeds the percentile of the same statistic over past windows of its own baseline, survives Benjamini-Hochberg
 * over all series of its kind, is not negligible, and did all that a session earlier too. A raw value alone never
 * alarms. Throws RangeError for bad options and for a baseline that reaches into the current window.
 */
export function monitorDrift(series: readonly MonitoredSeries[], options: DriftMonitorOptions): DriftReport {
  const settings = resolveSettings(options);
  const session = series[0]?.current.lastSession ?? null;
  for (const one of series) assertRanges(one, { session, settings });
  const results = new Map<MonitoredSeries, SeriesDrift>();
  const judged: Judged[] = [];
  for (const one of series) {
    const outcome = judge(one, settings);
    if ('status' in outcome) results.set(one, outcome);
    else judged.push(outcome);
  }
  for (const kind of ['feature', 'prediction'] as const) {
    const family = judged.filter((entry) => entry.series.kind === kind);
    decideFamily(family, settings).forEach((result, i) => results.set((family[i] as Judged).series, result));
  }
  const ordered = series.map((one) => results.get(one) as SeriesDrift);
  return {
    session,
    statistic: settings.statistic,
    series: ordered,
    counts: countStatuses(ordered),
    retraining: raiseFlag(ordered, { session, settings, lastRaised: options.lastRaisedSession ?? null }),
  };
}

function resolveSettings(options: DriftMonitorOptions): Settings {
  const { lastRaisedSession: _, ...given } = options;
  const settings: Settings = {
    windowSessions: 20,
    bins: 10,
    floor: 1e-4,
    statistic: 'psi',
    percentile: 0.99,
    falseDiscoveryRate: 0.05,
    minComparisonWindows: 20,
    minWindowValues: 100,
    effectFloor: 0.1,
    coolDownSessions: 21,
    ...given,
  };
  const positive = ['windowSessions', 'horizonSessions', 'minComparisonWindows', 'minWindowValues'] as const;
  for (const name of positive) {
    if (!Number.isInteger(settings[name]) || settings[name] < 1) {
      throw new RangeError(`${name} must be a positive integer, got ${settings[name]}`);
    }
  }
  for (const name of ['percentile', 'falseDiscoveryRate'] as const) {
    if (!(settings[name] > 0 && settings[name] < 1)) {
      throw new RangeError(`${name} must be above 0 and below 1, got ${settings[name]}`);
    }
  }
  for (const name of ['coolDownSessions', 'effectFloor'] as const) {
    if (!(settings[name] >= 0)) throw new RangeError(`${name} must be >= 0, got ${settings[name]}`);
  }
  return settings;
}

function assertRanges(
  { name, baseline, current }: MonitoredSeries,
  { session, settings }: { session: number | null; settings: Settings },
): void {
  if (current.lastSession !== session) {
    throw new RangeError(`current of ${name} ends at session ${current.lastSession}, not at ${session}`);
  }
  const latest = current.lastSession - settings.windowSessions - settings.horizonSessions;
  if (baseline.lastSession > latest) {
    throw new RangeError(`baseline of ${name} ends at session ${baseline.lastSession}, later than ${latest}`);
  }
}

/** Calibrate and compare; a result with a status when there is nothing to decide. */
function judge(series: MonitoredSeries, settings: Settings): Judged | SeriesDrift {
  if (series.excludedBecause !== undefined) {
    return undecided(series, 'not_monitored', `not monitored: ${series.excludedBecause}`);
  }
  const { windowSessions, minWindowValues, floor } = settings;
  const window = lastWindow(series.current, windowSessions, 0);
  const calibration = series.calibration ?? calibrateSeries(series, settings);
  const tonight = window === null ? null : compareWindow(window, calibration, { floor, exactKs: true });
  const lacking = shortages(series, { calibration, tonight, settings });
  if (tonight === null || lacking.length > 0) {
    const words = `not enough data: ${lacking.join('; ')}`;
    return undecided(
      series,
      'not_enough_data',
      words,
      tonight === null ? { calibration } : { calibration, tonight },
    );
  }
  const place = (statistic: DriftStatistic, comparison: WindowComparison): CalibratedP =>
    calibratedPValue(comparison.statistics[statistic], calibration.windows[statistic], settings.percentile);
  const earlier = lastWindow(series.current, windowSessions, 1);
  const comparison = earlier === null ? null : compareWindow(earlier, calibration, { floor, exactKs: false });
  return {
    series,
    calibration,
    tonight,
    past: { psi: place('psi', tonight), kl: place('kl', tonight), ks: place('ks', tonight) },
    previous:
      comparison === null || comparison.rows < minWindowValues
        ? null
        : { comparison, calibrated: place(settings.statistic, comparison) },
  };
}

function calibrateSeries(series: MonitoredSeries, settings: Settings): Calibration {
  const { strideSessions, baselineModels: models } = series;
  return calibrate(series.baseline, { ...settings, strideSessions, models });
}

/** What keeps a series from being judged, each with its figures. */
function shortages(
  series: MonitoredSeries,
  night: { calibration: Calibration; tonight: WindowComparison | null; settings: Settings },
): string[] {
  const { baseline, current, kind, strideSessions } = series;
  const { calibration, tonight, settings } = night;
  const { windowSessions, minComparisonWindows, minWindowValues } = settings;
  const found: string[] = [];
  if (tonight === null) {
    const sessions = Math.max(0, current.lastSession - current.firstSession + 1);
    found.push(`${sessions} of ${windowSessions} sessions${kind === 'prediction' ? ' issued' : ''}`);
  } else if (tonight.rows < minWindowValues) {
    // Rows, not values: a window of nothing but missing values is drift, unless the baseline looks like that too.
    found.push(`${tonight.rows} of ${minWindowValues} values in the window`);
  }
  if (calibration.countedWindows < minComparisonWindows) {
    const stride = strideSessions ?? windowSessions;
    const sessions = Math.max(0, baseline.lastSession - baseline.firstSession + 1);
    found.push(
      `${calibration.countedWindows} of ${minComparisonWindows} past windows in ${sessions} sessions of baseline ` +
        `(${windowSessions + (minComparisonWindows - 1) * stride} are needed)`,
    );
  }
  return found;
}

/** The window that ends `back` sessions before the last; null where the range is too short. */
function lastWindow(range: SessionValues, windowSessions: number, back: number): SessionValues | null {
  const lastSession = range.lastSession - back;
  const firstSession = lastSession - windowSessions + 1;
  return firstSession < range.firstSession ? null : { ...range, firstSession, lastSession };
}

function decideFamily(family: readonly Judged[], settings: Settings): SeriesDrift[] {
  const { statistic, falseDiscoveryRate, effectFloor } = settings;
  const tonight = benjaminiHochberg(family.map(({ past }) => past[statistic].pValue));
  const before = benjaminiHochberg(family.map(({ previous }) => previous?.calibrated.pValue ?? 1));
  const exceeds = (comparison: WindowComparison, calibrated: CalibratedP, adjusted: number): boolean =>
    comparison.statistics[statistic] > calibrated.threshold &&
    comparison.statistics.psi >= effectFloor &&
    adjusted <= falseDiscoveryRate;
  return family.map((entry, i) => {
    const { past, previous } = entry;
    const adjustedPValue = tonight[i] ?? 1;
    const now = exceeds(entry.tonight, past[statistic], adjustedPValue);
    const earlier =
      previous === null ? null : exceeds(previous.comparison, previous.calibrated, before[i] ?? 1);
    const status = now && earlier === true ? 'alarm' : now ? 'elevated' : 'stable';
    return {
      ...rawNumbers(entry.series, entry),
      status,
      words: decidedWords(entry, { status, settings, adjustedPValue }),
      thresholds: { psi: past.psi.threshold, kl: past.kl.threshold, ks: past.ks.threshold },
      percentile: past[statistic].percentile,
      pValue: past[statistic].pValue,
      adjustedPValue,
      exceeds: now,
      exceededPrevious: earlier,
    };
  });
}

function decidedWords(
  { tonight, past, calibration }: Judged,
  context: { status: DriftStatus; settings: Settings; adjustedPValue: number },
): string {
  const { status, settings, adjustedPValue } = context;
  const { statistic, percentile, windowSessions } = settings;
  const value = tonight.statistics[statistic].toFixed(3);
  const limit = past[statistic].threshold.toFixed(3);
  const numbers =
    `${statistic.toUpperCase()} ${value}, ${(percentile * 100).toFixed(0)}th percentile of ` +
    `${calibration.comparisonWindows} past ${windowSessions}-session windows ${limit}, adjusted p ${adjustedPValue.toPrecision(2)}`;
  if (status === 'alarm') return `alarm, two nights in a row: ${numbers}`;
  return status === 'elevated' ? `elevated tonight: ${numbers}` : `stable: ${numbers}`;
}

function undecided(
  series: MonitoredSeries,
  status: DriftStatus,
  words: string,
  known: { calibration?: Calibration; tonight?: WindowComparison } = {},
): SeriesDrift {
  return {
    ...rawNumbers(series, known),
    status,
    words,
    thresholds: null,
    percentile: null,
    pValue: null,
    adjustedPValue: null,
    exceeds: false,
    exceededPrevious: null,
  };
}

type RawNumbers = Omit<
  SeriesDrift,
  | 'status'
  | 'words'
  | 'thresholds'
  | 'percentile'
  | 'pValue'
  | 'adjustedPValue'
  | 'exceeds'
  | 'exceededPrevious'
>;

function rawNumbers(
  { name, kind }: MonitoredSeries,
  { calibration, tonight }: { calibration?: Calibration; tonight?: WindowComparison },
): RawNumbers {
  const present = calibration?.baseline.sorted.length ?? 0;
  const missing = calibration?.baseline.missingCount ?? 0;
  // Without a value on either side there are no bins, or nothing in them: no statistic.
  const comparable = present > 0 && (tonight?.rows ?? 0) > 0 ? tonight : undefined;
  return {
    name,
    kind,
    psi: toJsonNumber(comparable?.statistics.psi),
    klCurrentGivenBaseline: toJsonNumber(comparable?.kl.currentGivenBaseline),
    klBaselineGivenCurrent: toJsonNumber(comparable?.kl.baselineGivenCurrent),
    jsDivergence: toJsonNumber(comparable?.jsDivergence),
    ksStatistic: toJsonNumber(comparable?.ksStatistic),
    ksPValue: toJsonNumber(comparable?.ksPValue),
    baselineRows: present + missing,
    currentRows: tonight?.rows ?? 0,
    baselineMissingShare: toJsonNumber(missing / (present + missing)),
    currentMissingShare: toJsonNumber(tonight === undefined ? null : tonight.missing / tonight.rows),
    comparisonWindows: calibration?.comparisonWindows ?? 0,
    independentWindows: calibration?.independentWindows ?? 0,
  };
}

function countStatuses(series: readonly SeriesDrift[]): Record<DriftStatus, number> {
  const counts = { stable: 0, elevated: 0, alarm: 0, not_enough_data: 0, not_monitored: 0 };
  for (const { status } of series) counts[status] += 1;
  return counts;
}

function raiseFlag(
  series: readonly SeriesDrift[],
  context: { session: number | null; settings: Settings; lastRaised: number | null },
): RetrainingFlag {
  const { session, settings, lastRaised } = context;
  if (lastRaised !== null && session !== null && lastRaised >= session) {
    throw new RangeError(`lastRaisedSession ${lastRaised} is not before the session ${session}`);
  }
  const reasons = series
    .filter(({ status }) => status === 'alarm')
    .map(({ name, kind, words }) => ({ series: name, words: `${kind} ${name}: ${words}` }));
  if (reasons.length === 0) return { raised: false, suppressedBy: null, reasons };
  const cooling = lastRaised !== null && session !== null && session - lastRaised < settings.coolDownSessions;
  return { raised: !cooling, suppressedBy: cooling ? 'cool_down' : null, reasons };
}
