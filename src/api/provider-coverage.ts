import { coverageOf } from '../providers/ask.ts';
import { createProviders } from '../providers/by-name.ts';
import type { BackfillCoverage } from '../temporal/backfill.ts';

/** Says what the providers of a chain can have, from the folder that the workers read; null: they do not say now. */
export function coverageReader(
  sampleDataDir: string,
): (chain: readonly string[]) => Promise<BackfillCoverage | null> {
  const providers = createProviders({ sampleDataDir });
  return async (chain) => {
    const found = await coverageOf(providers(chain), undefined);
    if (found === null) return null;
    const { provider, firstSession, lastSession } = found;
    return { provider, firstSession, lastSession };
  };
}
