import { epochDayOf } from '../domain/bars.ts';
import { toProviderError } from './errors.ts';
import type { BarSources, MarketDataProvider, ProviderCoverage, RangeRequest } from './port.ts';
import { coverageOf } from './split-sources.ts';

type Answer = { symbol: string; asked: string[]; answered: string[]; withBars: string[] };

/**
 * Asks every source for bars of the symbols in a range, one by one and without a preference. A source that cannot have
 * the whole range, or does not know the symbol, counts as not there; one that fails or is rate limited counts as asked.
 * Throws only for an abort.
 */
export async function askBarSources(
  providers: readonly MarketDataProvider[],
  request: RangeRequest,
): Promise<BarSources[]> {
  const answers = request.symbols.map(
    (symbol): Answer => ({ symbol, asked: [], answered: [], withBars: [] }),
  );
  for (const provider of providers) {
    request.signal?.throwIfAborted();
    if (!canHave(await coverageOf(provider, request.signal), request)) continue;
    const found = await barsOf(provider, request);
    for (const answer of answers) {
      const known = found.get(answer.symbol);
      if (known === 'unknown') continue;
      answer.asked.push(provider.id);
      if (known === undefined) continue;
      answer.answered.push(provider.id);
      if (known > 0) answer.withBars.push(provider.id);
    }
  }
  return answers;
}

/** Whether a source says it has the range from end to end; one that does not answer might. */
function canHave(coverage: ProviderCoverage | null, { from, to }: RangeRequest): boolean {
  if (coverage === null) return true;
  const { firstSession, lastSession } = coverage;
  return (firstSession === null || from >= firstSession) && (lastSession === null || to <= lastSession);
}

/** Rows in the range by symbol; `unknown` for a symbol the source does not know; absent where it did not answer. */
async function barsOf(
  provider: MarketDataProvider,
  request: RangeRequest,
): Promise<Map<string, number | 'unknown'>> {
  const first = epochDayOf(request.from);
  const last = epochDayOf(request.to);
  try {
    // The caller's progress counts its own symbols, once.
    const results = await provider.bars({ ...request, onProgress: undefined });
    return new Map(
      results.flatMap((result): [string, number | 'unknown'][] => {
        if (!result.ok) return result.error.code === 'notFound' ? [[result.symbol, 'unknown']] : [];
        const { epochDays } = result.value.bars;
        return [[result.symbol, epochDays.filter((day) => day >= first && day <= last).length]];
      }),
    );
  } catch (error) {
    request.signal?.throwIfAborted();
    if (toProviderError(error, provider.id).code === 'notFound') {
      return new Map(request.symbols.map((symbol) => [symbol, 'unknown']));
    }
    return new Map();
  }
}
