import type { CorporateActions } from '../../src/domain/market-data.ts';
import { NotFoundError, ProviderError } from '../../src/providers/errors.ts';
import type {
  BarsValue,
  MarketDataProvider,
  ProviderCoverage,
  RangeRequest,
  SymbolResult,
} from '../../src/providers/port.ts';

/** A symbol's answer in a test; undefined: the source does not know the symbol. */
type AnswerOf<Value> = (symbol: string) => Value | ProviderError | undefined;

/** What a test's own source takes, beside what it has. */
export type SourceOptions = {
  id: string;
  /** An error: it does not say. */
  coverage?: Partial<ProviderCoverage> | Error;
  /** It answers no request. */
  fails?: Error;
};

/** A source that gives the same whatever range is asked for, and tells what it was asked. */
export function answeringSource(
  input: SourceOptions & { barsOf?: AnswerOf<BarsValue>; actionsOf?: AnswerOf<CorporateActions> },
): MarketDataProvider & { asked: RangeRequest[] } {
  const { id, coverage = {}, fails, barsOf, actionsOf } = input;
  const asked: RangeRequest[] = [];
  const answer = <Value>(request: RangeRequest, answerOf: AnswerOf<Value>): SymbolResult<Value>[] => {
    asked.push(request);
    if (fails !== undefined) throw fails;
    return request.symbols.map((symbol) => {
      const value = answerOf(symbol) ?? new NotFoundError(`no ${symbol}`, { provider: id, symbol });
      if (value instanceof ProviderError) return { ok: false, symbol, error: value, attempts: [] };
      const provenance = { provider: id, dataset: id, fetchedAt: '2018-02-08T00:00:00Z', fallbackFrom: [] };
      return { ok: true, symbol, value, provenance };
    });
  };
  return {
    id,
    asked,
    coverage: async () => {
      if (coverage instanceof Error) throw coverage;
      return {
        provider: id,
        dataset: id,
        firstSession: null,
        lastSession: null,
        symbols: null,
        basis: { splits: 'asTraded', dividends: 'asTraded', asOf: null },
        survivorship: 'unknown',
        has: { corporateActions: actionsOf !== undefined, fundamentals: false, instruments: false },
        ...coverage,
      };
    },
    bars: async (request) => (barsOf === undefined ? [] : answer(request, barsOf)),
    corporateActions: async (request) => (actionsOf === undefined ? [] : answer(request, actionsOf)),
    fundamentals: async () => [],
    instruments: async () => [],
  };
}
