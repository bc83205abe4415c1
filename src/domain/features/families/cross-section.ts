import type { RankFeature, SymbolFeature } from '../types.ts';

/** Symbol features that are also ranked within each session. */
const RANKED = [
  'ret1',
  'ret5',
  'ret21',
  'mom126',
  'mom252to21',
  'vol21',
  'volumeRatio1to21',
  'dollarVolume21',
] as const;

/** `rankRet1` of `ret1`, and so on: look-back and warm-up are those of the ranked feature. */
export function rankFeatures(symbolFeatures: readonly SymbolFeature[]): RankFeature[] {
  return RANKED.map((of) => {
    const ranked = symbolFeatures.find(({ name }) => name === of);
    if (ranked === undefined) throw new RangeError(`cannot rank ${of}: no such symbol feature`);
    return {
      name: `rank${of.charAt(0).toUpperCase()}${of.slice(1)}`,
      family: 'crossSection',
      definition: `(average rank of ${of} - 0.5) / n among the n members that have it in the session`,
      lookbackSessions: ranked.lookbackSessions,
      warmupSessions: ranked.warmupSessions,
      unit: 'rank',
      monitored: true,
      source: 'rank',
      of,
    };
  });
}
