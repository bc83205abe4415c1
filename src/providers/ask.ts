import { toProviderError } from './errors.ts';
import type { MarketDataProvider, ProviderCoverage, RangeRequest, SymbolResult } from './port.ts';

/** What a source says it can have; null if it does not say so now. Throws only for an abort. */
export async function coverageOf(
  provider: MarketDataProvider,
  signal: AbortSignal | undefined,
): Promise<ProviderCoverage | null> {
  try {
    return await provider.coverage();
  } catch {
    signal?.throwIfAborted();
    return null;
  }
}

/**
 * One source's values by symbol; `unknown` for a symbol the source does not know; absent where it did not answer.
 * Throws only for an abort.
 */
export async function askSource<Value>(input: {
  provider: string;
  request: RangeRequest;
  ask: (request: RangeRequest) => Promise<readonly SymbolResult<Value>[]>;
}): Promise<Map<string, Value | 'unknown'>> {
  const { provider, request, ask } = input;
  try {
    const results = await ask(request);
    return new Map(
      results.flatMap((result): [string, Value | 'unknown'][] => {
        if (result.ok) return [[result.symbol, result.value]];
        return result.error.code === 'notFound' ? [[result.symbol, 'unknown']] : [];
      }),
    );
  } catch (error) {
    request.signal?.throwIfAborted();
    if (toProviderError(error, provider).code === 'notFound') {
      return new Map(request.symbols.map((symbol) => [symbol, 'unknown']));
    }
    return new Map();
  }
}
