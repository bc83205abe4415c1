import type { SplitAction } from '../domain/market-data.ts';
import { toProviderError } from './errors.ts';
import type { MarketDataProvider, ProviderCoverage, SplitSources, SplitSourcesRequest } from './port.ts';

/** Ratios that agree: sources round them differently. */
const SAME_RATIO = Math.log(1.01);

/**
 * Asks every source but the one that reported a split whether it has the same: same symbol, ex date and ratio. A
 * source that cannot have it (no actions, another range, unknown symbol) counts as not there; one that does not answer
 * counts as asked. Throws only for an abort.
 */
export async function askOtherSources(
  providers: readonly MarketDataProvider[],
  request: SplitSourcesRequest,
): Promise<SplitSources[]> {
  const answers = request.splits.map(({ split }): SplitSources => ({ split, asked: [], confirmedBy: [] }));
  for (const provider of providers) {
    const coverage = await coverageOf(provider, request.signal);
    const open = request.splits.flatMap((one, index) =>
      one.provider !== provider.id && canHave(coverage, one.split) ? [index] : [],
    );
    if (open.length === 0) continue;
    const actions = await splitsOf(provider, request, open);
    for (const index of open) {
      const answer = answers[index];
      const known = answer === undefined ? undefined : actions.get(answer.split.symbol);
      if (answer === undefined || known === 'unknown') continue;
      const same = known?.some((split) => isSame(split, answer.split)) === true;
      answers[index] = {
        ...answer,
        asked: [...answer.asked, provider.id],
        confirmedBy: same ? [...answer.confirmedBy, provider.id] : answer.confirmedBy,
      };
    }
  }
  return answers;
}

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

function canHave(coverage: ProviderCoverage | null, { exDate }: SplitAction): boolean {
  if (coverage === null) return true;
  const { firstSession, lastSession, has } = coverage;
  return (
    has.corporateActions &&
    (firstSession === null || exDate >= firstSession) &&
    (lastSession === null || exDate <= lastSession)
  );
}

/** Splits by symbol; `unknown` for a symbol the source does not know; absent where it did not answer. */
async function splitsOf(
  provider: MarketDataProvider,
  request: SplitSourcesRequest,
  open: readonly number[],
): Promise<Map<string, readonly SplitAction[] | 'unknown'>> {
  const asked = open.flatMap((index) => request.splits[index]?.split ?? []);
  const dates = asked.map(({ exDate }) => exDate).sort();
  const symbols = [...new Set(asked.map(({ symbol }) => symbol))];
  try {
    const results = await provider.corporateActions({
      symbols,
      asOfSession: request.asOfSession,
      signal: request.signal,
      from: dates[0] ?? request.asOfSession,
      to: dates.at(-1) ?? request.asOfSession,
    });
    return new Map(
      results.flatMap((result): [string, readonly SplitAction[] | 'unknown'][] => {
        if (result.ok) return [[result.symbol, result.value.splits]];
        return result.error.code === 'notFound' ? [[result.symbol, 'unknown']] : [];
      }),
    );
  } catch (error) {
    request.signal?.throwIfAborted();
    if (toProviderError(error, provider.id).code === 'notFound') {
      return new Map(symbols.map((symbol) => [symbol, 'unknown']));
    }
    return new Map();
  }
}

function isSame(a: SplitAction, b: SplitAction): boolean {
  const ratioOf = ({ newShares, oldShares }: SplitAction): number => Math.log(newShares / oldShares);
  return a.symbol === b.symbol && a.exDate === b.exDate && Math.abs(ratioOf(a) - ratioOf(b)) <= SAME_RATIO;
}
