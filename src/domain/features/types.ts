import type { SymbolSeries } from './series.ts';

/** Families of the registry, in the order in which their features are laid out. */
export const FEATURE_FAMILIES = [
  'returns',
  'trend',
  'momentum',
  'volatility',
  'volume',
  'range',
  'crossSection',
  'calendar',
] as const;
export type FeatureFamily = (typeof FEATURE_FAMILIES)[number];

export type FeatureUnit =
  | 'logReturn'
  | 'ratio'
  | 'logRatio'
  | 'percent'
  | 'share'
  | 'deviations'
  | 'logDollars'
  | 'logPerDollar'
  | 'rank'
  | 'count'
  | 'days';

interface Described {
  name: string;
  family: FeatureFamily;
  /** The formula in words: o h l c v of session S, `[-k]` is k sessions earlier. Part of the feature set's hash. */
  definition: string;
  /** Sessions before S that the first value needs. */
  lookbackSessions: number;
  /** Sessions before S after which an earlier start changes nothing beyond 1e-8; equal to the look-back of windows. */
  warmupSessions: number;
  unit: FeatureUnit;
  /** Whether drift is watched: not for the calendar, which drifts by itself. */
  monitored: boolean;
}

/** A feature of one symbol's own bars. `compute` gives one value per session and looks at nothing later. */
export interface SymbolFeature extends Described {
  source: 'symbol';
  compute: (series: SymbolSeries) => Float64Array;
}

/** Rank of a symbol feature within a session; drift is watched on that feature, before ranking. */
export interface RankFeature extends Described {
  source: 'rank';
  of: string;
}

/** A feature of the session alone; `compute` sees the sessions up to and including S only where it matters. */
export interface CalendarFeature extends Described {
  source: 'calendar';
  compute: (sessions: readonly string[]) => Float64Array;
}

export type FeatureDefinition = SymbolFeature | RankFeature | CalendarFeature;

/** What a family file writes per feature; the rest follows from the family. A window settles at its look-back. */
export type SymbolFeatureEntry = Omit<SymbolFeature, 'family' | 'source' | 'monitored' | 'warmupSessions'> & {
  warmupSessions?: number;
};

/** Completes the entries of one family of symbol features. */
export function symbolFeatures(
  family: FeatureFamily,
  entries: readonly SymbolFeatureEntry[],
): SymbolFeature[] {
  return entries.map((entry) => ({
    ...entry,
    family,
    source: 'symbol',
    monitored: true,
    warmupSessions: entry.warmupSessions ?? entry.lookbackSessions,
  }));
}
