import type { ReportExposure } from '../../contracts/schemas/report.ts';
import type { TopDecileExposure } from '../../domain/backtest/exposure.ts';
import { intervalOf } from '../training/metric-rows.ts';

/** What the report says of a model's top decile; null where no session has one (the stack before its third block). */
export function exposureResult({ beta, sizeRank, sectors }: TopDecileExposure): ReportExposure | null {
  if (sectors.length === 0) return null;
  return {
    beta: { top: beta.top, universe: beta.universe, difference: intervalOf(beta.difference) },
    sizeRank: { top: sizeRank.top, difference: intervalOf(sizeRank.difference) },
    sectors: sectors.map(({ sector, top, universe }) => ({ sector, top, universe })),
  };
}
