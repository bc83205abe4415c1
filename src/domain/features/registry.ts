import { createHash } from 'node:crypto';
import { CALENDAR } from './families/calendar.ts';
import { rankFeatures } from './families/cross-section.ts';
import { MOMENTUM } from './families/momentum.ts';
import { RANGE } from './families/range.ts';
import { RETURNS } from './families/returns.ts';
import { TREND } from './families/trend.ts';
import { VOLATILITY } from './families/volatility.ts';
import { VOLUME } from './families/volume.ts';
import type { FeatureDefinition } from './types.ts';

/** Raise it when code changes values and no definition does: it is part of the feature set's version. */
export const FEATURE_CODE_VERSION = 2;

const SYMBOL_FEATURES = [...RETURNS, ...TREND, ...MOMENTUM, ...VOLATILITY, ...VOLUME, ...RANGE];

/** All features, in the order of their columns. */
export const FEATURES: readonly FeatureDefinition[] = [
  ...SYMBOL_FEATURES,
  ...rankFeatures(SYMBOL_FEATURES),
  ...CALENDAR,
];

/** What is hashed and published of a feature: everything but its code. */
export type FeatureDescription = Omit<FeatureDefinition, 'compute' | 'source'> & {
  monitoredAs: string | null;
};

/** A feature without its code; `monitoredAs` names the feature whose values drift is watched on. */
export function describeFeature(feature: FeatureDefinition): FeatureDescription {
  const { name, family, definition, lookbackSessions, warmupSessions, unit, monitored } = feature;
  const watched = feature.source === 'rank' ? feature.of : name;
  return {
    name,
    family,
    definition,
    lookbackSessions,
    warmupSessions,
    unit,
    monitored,
    monitoredAs: monitored ? watched : null,
  };
}

/** Names of the features whose values drift is watched on; a rank is watched before ranking. */
export function monitoredFeatures(features: readonly FeatureDefinition[] = FEATURES): string[] {
  const names = features.map((feature) => describeFeature(feature).monitoredAs);
  return [...new Set(names.filter((name) => name !== null))];
}

/** Hash of the definitions and of the code version: rows of two versions are never mixed. */
export function featureSetVersion(features: readonly FeatureDefinition[] = FEATURES): string {
  const described = { codeVersion: FEATURE_CODE_VERSION, features: features.map(describeFeature) };
  return createHash('sha256').update(JSON.stringify(described)).digest('hex');
}
