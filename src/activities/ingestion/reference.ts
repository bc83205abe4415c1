import type { Queryable } from '../../db/client.ts';
import { readCorporateActions } from '../../db/queries/reference.ts';
import type {
  DividendAction,
  FundamentalRecord,
  Instrument,
  ReportedSplit,
  SplitAction,
} from '../../domain/market-data.ts';
import { judgeSplits, splitRatioWords } from '../../domain/validation/splits.ts';
import type { SymbolResult, SymbolsRequest } from '../../providers/port.ts';
import type { FetchedSymbol } from './fetch.ts';
import { groupBy } from './group.ts';
import type { IngestionNight } from './night.ts';
import { errorWords } from './words.ts';

/** A fact with the source that gave it. */
export type Sourced<Fact> = { fact: Fact; provider: string };

export type FetchedReference = {
  /** The chain as a whole: whose instruments and statements these are. */
  provider: string;
  instruments: Instrument[];
  splits: Sourced<ReportedSplit>[];
  dividends: Sourced<DividendAction>[];
  fundamentals: FundamentalRecord[];
  /** Failures of reference data by symbol; they never fail the symbol's bars. */
  errors: Map<string, string[]>;
};

/** What providers say beside bars; splits as reported, one or several to a date. */
export async function fetchReference(input: {
  night: IngestionNight;
  request: SymbolsRequest;
}): Promise<FetchedReference> {
  const { night, request } = input;
  const { provider, coverage } = night;
  const reference: FetchedReference = {
    provider: coverage.provider,
    instruments: [],
    splits: [],
    dividends: [],
    fundamentals: [],
    errors: new Map(),
  };
  const take = async <Value>(
    what: string,
    asked: boolean,
    ask: () => Promise<readonly SymbolResult<Value>[]>,
  ): Promise<Sourced<Value>[]> => {
    if (!asked) return [];
    const results = await ask();
    return results.flatMap((result) => {
      if (result.ok) return [{ fact: result.value, provider: result.provenance.provider }];
      note(reference, result.symbol, `${what}: ${errorWords(result.error)}`);
      return [];
    });
  };
  const instruments = await take('instrument', coverage.has.instruments, () => provider.instruments(request));
  reference.instruments = instruments.map(({ fact }) => fact);
  const range = { ...request, from: night.fromSession, to: request.asOfSession };
  const actions = await take('corporate actions', coverage.has.corporateActions, () =>
    provider.corporateActions(range),
  );
  for (const { fact, provider: source } of actions) {
    const unasked = { asked: [], confirmedBy: [] };
    reference.splits.push(
      ...fact.splits.map((split) => ({ fact: { ...split, ...unasked }, provider: source })),
    );
    reference.dividends.push(...distinct(fact.dividends).map((one) => ({ fact: one, provider: source })));
  }
  const fundamentals = await take('fundamentals', coverage.has.fundamentals, () =>
    provider.fundamentals(request),
  );
  reference.fundamentals = fundamentals.flatMap(({ fact }) => fact);
  return reference;
}

function note(reference: FetchedReference, symbol: string, words: string): void {
  reference.errors.set(symbol, [...(reference.errors.get(symbol) ?? []), words]);
}

/** Of several dividends of one date the last stands: a database row has one. */
function distinct(dividends: readonly DividendAction[]): DividendAction[] {
  return [...new Map(dividends.map((one) => [`${one.symbol} ${one.exDate}`, one])).values()];
}

/**
 * One split per symbol and date, the large ones with what other sources say of them. Of several ratios the stored one
 * stands, else the one that the fetched prices show, else the first; the symbol's outcome names them.
 */
export async function settleSplits(
  sql: Queryable,
  input: {
    night: IngestionNight;
    request: SymbolsRequest;
    reference: FetchedReference;
    fetched: readonly FetchedSymbol[];
  },
): Promise<void> {
  const { night, request, reference } = input;
  if (reference.splits.length === 0) return;
  const symbols = [...new Set(reference.splits.map(({ fact }) => fact.symbol))];
  const stored = await readCorporateActions(sql, { symbols, throughSession: request.asOfSession });
  const storedOf = ({ symbol, exDate }: SplitAction): ReportedSplit | undefined =>
    stored.get(symbol)?.splits.find((split) => split.exDate === exDate);
  const bySymbol = new Map(input.fetched.map((one) => [one.symbol, one]));
  const groups = groupBy(reference.splits, ({ fact }) => `${fact.symbol} ${fact.exDate}`);
  const chosen = [...groups.values()].flatMap((candidates): Sourced<ReportedSplit>[] => {
    const [first] = candidates;
    if (first === undefined) return [];
    const known = storedOf(first.fact);
    const ratios = [...new Set(candidates.map(({ fact }) => splitRatioWords(fact)))];
    const one = ratios.length === 1 ? first : chooseSplit({ night, candidates, known, bySymbol });
    if (ratios.length > 1) {
      const { symbol, exDate } = first.fact;
      note(
        reference,
        symbol,
        `splits of ${exDate}: ${ratios.join(' and ')}; ${splitRatioWords(one.fact)} is kept`,
      );
    }
    // What other sources said before stands until they are asked again.
    const same = known !== undefined && splitRatioWords(known) === splitRatioWords(one.fact);
    return [
      same ? { ...one, fact: { ...one.fact, asked: known.asked, confirmedBy: known.confirmedBy } } : one,
    ];
  });
  reference.splits = await withOtherSources({ night, request, splits: chosen });
}

function chooseSplit(context: {
  night: IngestionNight;
  candidates: readonly Sourced<ReportedSplit>[];
  known: ReportedSplit | undefined;
  bySymbol: ReadonlyMap<string, FetchedSymbol>;
}): Sourced<ReportedSplit> {
  const { night, candidates, known, bySymbol } = context;
  const [first] = candidates;
  if (first === undefined) throw new RangeError('no split to choose from');
  const asStored = candidates.find(
    ({ fact }) => known !== undefined && splitRatioWords(fact) === splitRatioWords(known),
  );
  const result = bySymbol.get(first.fact.symbol)?.bars;
  if (asStored !== undefined || result?.ok !== true) return asStored ?? first;
  const { bars, basis } = result.value;
  const verdicts = judgeSplits({
    bars,
    flagged: new Uint8Array(bars.epochDays.length),
    basisOf: () => basis,
    splits: candidates.map(({ fact }) => fact),
    rules: night.config.data,
  });
  return candidates.find((_, index) => verdicts[index]?.status === 'confirmed') ?? first;
}

/** Large splits that no second source confirms yet are asked about, each night anew. */
async function withOtherSources(context: {
  night: IngestionNight;
  request: SymbolsRequest;
  splits: readonly Sourced<ReportedSplit>[];
}): Promise<Sourced<ReportedSplit>[]> {
  const { night, request, splits } = context;
  const { provider, config } = night;
  const limit = Math.log(config.data.secondSourceRatio);
  const isOpen = ({ fact }: Sourced<ReportedSplit>): boolean =>
    fact.confirmedBy.length === 0 && Math.abs(Math.log(fact.newShares / fact.oldShares)) > limit;
  const open = splits.filter(isOpen);
  if (provider.splitSources === undefined || open.length === 0) return [...splits];
  const answers = await provider.splitSources({
    splits: open.map(({ fact, provider: source }) => ({ split: fact, provider: source })),
    asOfSession: request.asOfSession,
    signal: request.signal,
  });
  const answerOf = new Map(open.map((one, index) => [one, answers[index]]));
  return splits.map((one) => {
    const answer = answerOf.get(one);
    if (answer === undefined) return one;
    return { ...one, fact: { ...one.fact, asked: answer.asked, confirmedBy: answer.confirmedBy } };
  });
}
