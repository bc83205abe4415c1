import { buildDataset } from '../../src/activities/compute/build-dataset.ts';
import { decideFlag, judgeNights, type JudgedSeries } from '../../src/activities/drift/decide.ts';
import { type FeatureSpec, featureSpecs, fromFirstValue } from '../../src/activities/drift/series.ts';
import { readParquet } from '../../src/artifacts/parquet.ts';
import { DEFAULT_SETTINGS } from '../../src/contracts/schemas/config-defaults.ts';
import { baselineRange, monitorDrift, type SessionValues } from '../../src/domain/drift-monitor.ts';
import { type Calibration, calibrate } from '../../src/domain/drift-windows.ts';
import { readSamplePanel } from './sample-panel.ts';

const { drift: SETTINGS, model: MODEL } = DEFAULT_SETTINGS;
const MIN_WINDOW_VALUES = 100;

/** The watched features of a bundled universe over its whole history, as training builds them. */
export type History = {
  sessions: string[];
  rowStarts: number[];
  features: { name: string; values: Float32Array }[];
};

/** Builds the features once, as of the last session: they look at nothing later than their own session. */
export async function readHistory(input: { universe: string; root: URL }): Promise<History> {
  const panel = await readSamplePanel(input);
  const { labelKind, horizonSessions, blocks, blockMonths, minTrainSessions, trainWindowSessions } = MODEL;
  const { parquet, manifest } = await buildDataset(
    {
      panel,
      universe: input.universe,
      universeVersion: 'replay',
      settings: { labelKind, horizonSessions, blocks, blockMonths, minTrainSessions, trainWindowSessions },
    },
    () => undefined,
  );
  const watched = featureSpecs(manifest.features).filter(isWatched);
  const { columns } = await readParquet(parquet.slice(), { columns: watched.map(({ name }) => name) });
  const features = watched.map(({ name }) => {
    const values = columns.get(name);
    if (!(values instanceof Float32Array)) throw new TypeError(`${name} is no column of float32`);
    return { name, values };
  });
  return { sessions: manifest.sessions, rowStarts: manifest.rowStartBySession, features };
}

const isWatched = ({ excludedBecause }: FeatureSpec): boolean => excludedBecause === null;

/** The history with some features changed from a session on. */
export function plant(
  history: History,
  shift: { from: number; features: readonly string[]; change: (value: number) => number },
): History {
  const start = history.rowStarts[shift.from] ?? 0;
  const features = history.features.map(({ name, values }) => ({
    name,
    values: shift.features.includes(name)
      ? values.map((value, row) => (row < start ? value : shift.change(value)))
      : values,
  }));
  return { ...history, features };
}

/** One night of a replay. */
export type ReplayedNight = {
  session: number;
  date: string;
  /** Series in alarm, `name/baseline`. */
  alarms: string[];
  words: string[];
  flag: boolean;
  /** Features whose raw PSI against the rolling baseline is above 0.25. */
  rawAbove: number;
  judged: JudgedSeries[];
};

/**
 * The monitor night by night, with both baselines and the product's own settings, decisions and cool-down. The first
 * night sets the anchored baseline, which nobody moves; the rolling one follows a model that becomes current every
 * `retrainSessions` sessions.
 */
export function* replay(
  history: History,
  options: { from: number; to: number; retrainSessions: number },
): Generator<ReplayedNight> {
  const anchored = calibrated(history, options.from);
  let rolling = anchored;
  let lastRaised: number | null = null;
  for (let session = options.from; session <= options.to; session += 1) {
    if ((session - options.from) % options.retrainSessions === 0) rolling = calibrated(history, session);
    const judged = [
      ...nightOf(history, { session, baseline: rolling, baselineKind: 'rolling' }),
      ...nightOf(history, { session, baseline: anchored, baselineKind: 'anchored' }),
    ];
    const flag = decideFlag(judged, { session, lastRaised });
    if (flag.raised) lastRaised = session;
    yield {
      session,
      date: history.sessions[session] ?? '',
      alarms: flag.reasons.map(({ series, baseline }) => `${series}/${baseline}`),
      words: flag.reasons.map(({ words }) => words),
      flag: flag.raised,
      rawAbove: judged.filter(({ baselineKind, psi }) => baselineKind === 'rolling' && (psi ?? 0) > 0.25)
        .length,
      judged,
    };
  }
}

/** Nights on which an alarm begins: the one before had none. */
export function beginnings(nights: readonly ReplayedNight[]): ReplayedNight[] {
  return nights.filter(({ alarms }, i) => alarms.length > 0 && (nights[i - 1]?.alarms.length ?? 0) === 0);
}

type CalibratedSeries = { baseline: SessionValues; calibration: Calibration };

/** Baselines of the model trained on the sessions up to the night's, with what is normal for them. */
function calibrated(history: History, session: number): CalibratedSeries[] {
  const { horizonSessions, trainWindowSessions } = MODEL;
  const trainLastSession = session - horizonSessions;
  const range = baselineRange({
    trainFirstSession: Math.max(0, trainLastSession - trainWindowSessions + 1),
    trainLastSession,
    session,
    horizonSessions,
    windowSessions: SETTINGS.windowSessions,
  });
  if (range === null) throw new RangeError(`nothing lies before session ${session}`);
  return history.features.map(({ values }) => {
    const baseline = fromFirstValue({ values, rowStarts: history.rowStarts, ...range });
    return {
      baseline,
      calibration: calibrate(baseline, { ...SETTINGS, minWindowValues: MIN_WINDOW_VALUES }),
    };
  });
}

function nightOf(
  history: History,
  night: { session: number; baseline: CalibratedSeries[]; baselineKind: JudgedSeries['baselineKind'] },
): JudgedSeries[] {
  const { session, baseline, baselineKind } = night;
  const { windowSessions, alarmQuantile, consecutiveNights } = SETTINGS;
  const series = history.features.flatMap(({ name, values }, i) => {
    const known = baseline[i];
    if (known === undefined) return [];
    const current = {
      values,
      rowStarts: history.rowStarts,
      firstSession: session - windowSessions,
      lastSession: session,
    };
    return [{ name, kind: 'feature' as const, ...known, current }];
  });
  const report = monitorDrift(series, {
    ...SETTINGS,
    horizonSessions: MODEL.horizonSessions,
    percentile: alarmQuantile,
    minWindowValues: MIN_WINDOW_VALUES,
  });
  const ranged = report.series.map((one, i) => {
    const { firstSession = 0, lastSession = 0 } = series[i]?.baseline ?? {};
    return { ...one, firstSession, lastSession, edges: [], shares: [] };
  });
  return judgeNights({ series: ranged, baselineKind, nights: consecutiveNights, pastSessions: [], past: [] });
}
