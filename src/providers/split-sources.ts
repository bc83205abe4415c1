import type { SplitAction } from '../domain/market-data.ts';
import { askSource, coverageOf } from './ask.ts';
import type {
  MarketDataProvider,
  ProviderCoverage,
  RangeRequest,
  SplitSources,
  SplitSourcesRequest,
} from './port.ts';

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
    const actions = await askSource({
      provider: provider.id,
      request: requestOf(request, open),
      ask: (part) => provider.corporateActions(part),
    });
    for (const index of open) {
      const answer = answers[index];
      const known = answer === undefined ? undefined : actions.get(answer.split.symbol);
      if (answer === undefined || known === 'unknown') continue;
      const same = known?.splits.some((split) => isSame(split, answer.split)) === true;
      answers[index] = {
        ...answer,
        asked: [...answer.asked, provider.id],
        confirmedBy: same ? [...answer.confirmedBy, provider.id] : answer.confirmedBy,
      };
    }
  }
  return answers;
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

/** From the first to the last ex date of the splits a source is to be asked about. */
function requestOf(
  { splits, asOfSession, signal }: SplitSourcesRequest,
  open: readonly number[],
): RangeRequest {
  const asked = open.flatMap((index) => splits[index]?.split ?? []);
  const dates = asked.map(({ exDate }) => exDate).sort();
  return {
    symbols: [...new Set(asked.map(({ symbol }) => symbol))],
    asOfSession,
    signal,
    from: dates[0] ?? asOfSession,
    to: dates.at(-1) ?? asOfSession,
  };
}

function isSame(a: SplitAction, b: SplitAction): boolean {
  const ratioOf = ({ newShares, oldShares }: SplitAction): number => Math.log(newShares / oldShares);
  return a.symbol === b.symbol && a.exDate === b.exDate && Math.abs(ratioOf(a) - ratioOf(b)) <= SAME_RATIO;
}
