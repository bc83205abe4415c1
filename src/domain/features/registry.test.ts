import { describe, expect, it } from 'vitest';
import { FEATURES, describeFeature, featureSetVersion, monitoredFeatures } from './registry.ts';
import { FEATURE_FAMILIES } from './types.ts';

describe('the feature registry', () => {
  it('has at least 40 features in all families, under unique names, fully described', () => {
    expect(FEATURES.length).toBeGreaterThanOrEqual(40);
    expect(new Set(FEATURES.map(({ name }) => name)).size).toBe(FEATURES.length);
    expect(new Set(FEATURES.map(({ family }) => family))).toEqual(new Set(FEATURE_FAMILIES));
    for (const feature of FEATURES) {
      expect(feature.name).toMatch(/^[a-z][A-Za-z0-9]*$/);
      expect(feature.definition).not.toBe('');
      expect(Number.isInteger(feature.lookbackSessions) && feature.lookbackSessions >= 0).toBe(true);
      expect(feature.warmupSessions).toBeGreaterThanOrEqual(feature.lookbackSessions);
    }
  });

  it('lays the families out one after the other', () => {
    const order = FEATURES.map(({ family }) => FEATURE_FAMILIES.indexOf(family));
    expect(order).toEqual([...order].sort((a, b) => a - b));
  });

  it('watches ranks before ranking and the calendar not at all', () => {
    const described = new Map(FEATURES.map((feature) => [feature.name, describeFeature(feature)]));
    expect(described.get('rankMom126')?.monitoredAs).toBe('mom126');
    expect(described.get('mom126')?.monitoredAs).toBe('mom126');
    expect(described.get('weekday')).toMatchObject({ monitored: false, monitoredAs: null });
    const watched = monitoredFeatures();
    expect(watched.some((name) => name.startsWith('rank'))).toBe(false);
    expect(watched).not.toContain('sessionOfMonth');
    expect(new Set(watched).size).toBe(watched.length);
  });

  it("gives Wilder's average of 14 the 249 sessions that 1e-8 takes, and more", () => {
    for (const name of ['rsi14', 'atrRatio14', 'adx14', 'gapToAtr14']) {
      const feature = FEATURES.find((candidate) => candidate.name === name);
      expect(feature?.warmupSessions).toBeGreaterThan(249);
    }
  });

  it('changes its version with any definition, but not with code objects', () => {
    const version = featureSetVersion();
    expect(version).toMatch(/^[0-9a-f]{64}$/);
    expect(featureSetVersion(FEATURES.map((feature) => ({ ...feature })))).toBe(version);
    expect(featureSetVersion(FEATURES.slice(1))).not.toBe(version);
    const [first, ...rest] = FEATURES;
    expect(featureSetVersion([{ ...first!, definition: 'something else' }, ...rest])).not.toBe(version);
  });
});
