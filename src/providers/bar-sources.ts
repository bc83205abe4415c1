import { epochDayOf } from '../domain/bars.ts';
import { askSource, coverageOf } from './ask.ts';
import type { BarSources, MarketDataProvider, ProviderCoverage, RangeRequest } from './port.ts';

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
  const first = epochDayOf(request.from);
  const last = epochDayOf(request.to);
  for (const provider of providers) {
    request.signal?.throwIfAborted();
    if (!canHave(await coverageOf(provider, request.signal), request)) continue;
    const found = await askSource({
      provider: provider.id,
      // The caller's progress counts its own symbols, once.
      request: { ...request, onProgress: undefined },
      ask: (part) => provider.bars(part),
    });
    for (const answer of answers) {
      const known = found.get(answer.symbol);
      if (known === 'unknown') continue;
      answer.asked.push(provider.id);
      if (known === undefined) continue;
      answer.answered.push(provider.id);
      if (known.bars.epochDays.some((day) => day >= first && day <= last)) answer.withBars.push(provider.id);
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
