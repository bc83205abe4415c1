import type { ProviderName } from '../contracts/wire/names.ts';
import { createArchiveProvider } from './archive/archive-provider.ts';
import { createProviderChain, type ProviderChain } from './chain.ts';
import type { MarketDataProvider } from './port.ts';

/**
 * Chains of the providers there are, by the names a configuration uses; each chain is made once, so that what
 * a provider has read stays read. Throws RangeError for an unknown name.
 */
export function createProviders(options: {
  sampleDataDir: string;
}): (chain: readonly string[]) => ProviderChain {
  const providers: Record<ProviderName, MarketDataProvider> = {
    archive: createArchiveProvider({ directory: options.sampleDataDir }),
  };
  const chains = new Map<string, ProviderChain>();
  return (names) => {
    const key = names.join('+');
    const known = chains.get(key);
    if (known !== undefined) return known;
    const made = createProviderChain({ providers: names.map((name) => providerNamed(providers, name)) });
    chains.set(key, made);
    return made;
  };
}

function providerNamed(providers: Record<string, MarketDataProvider>, name: string): MarketDataProvider {
  const found = providers[name];
  if (found !== undefined) return found;
  throw new RangeError(`nightshift.providers.chain: ${name} is none of ${Object.keys(providers).join(', ')}`);
}
