import {
  dispositionOf,
  NotFoundError,
  type ProviderError,
  type ProviderErrorCode,
  RateLimitedError,
  toProviderError,
} from './errors.ts';
import { askBarSources } from './bar-sources.ts';
import { askOtherSources } from './split-sources.ts';
import type {
  BarsValue,
  MarketDataProvider,
  ProviderAttempt,
  ProviderCoverage,
  RangeRequest,
  SymbolResult,
  SymbolsRequest,
} from './port.ts';

interface ChainOptions {
  readonly id?: string;
  /** In the order of preference, at least one. */
  readonly providers: readonly MarketDataProvider[];
}

/** A chain knows each member's coverage as well as its own. */
export interface ProviderChain extends MarketDataProvider {
  readonly providers: readonly MarketDataProvider[];
  coverages(): Promise<readonly ProviderCoverage[]>;
}

/** Failures that the next provider may answer: the first one will not, however often we ask. */
const FALLS_THROUGH: ReadonlySet<ProviderErrorCode> = new Set(['notFound', 'badData', 'actionRequired']);

/**
 * Asks the first provider, then for the symbols it has no answer for the next one, and so on. Never
 * mixes two sources within one symbol's answer. What stops and what falls through:
 *
 * - not found, bad data, a person is needed, range not covered: the next provider is asked;
 * - a source that ends before the range does is kept in case no later one reaches further;
 * - rate limited, transient: stops, the caller asks again later (switching sources for a hiccup would
 *   mix price bases); with `finalAttempt` the next provider is asked;
 * - an abort (`signal`) always ends the request.
 *
 * If nobody answers, the result is the failure that leaves most hope: retryable, then a person, then none.
 */
export function createProviderChain(options: ChainOptions): ProviderChain {
  const { providers } = options;
  const id = options.id ?? providers.map((provider) => provider.id).join('+');
  const first = providers[0];
  if (first === undefined) throw new RangeError('a provider chain needs at least one provider');

  const ask = async <Value, Request extends SymbolsRequest>(input: {
    readonly request: Request;
    readonly call: (
      provider: MarketDataProvider,
      request: Request,
    ) => Promise<readonly SymbolResult<Value>[]>;
    readonly gapOf: (coverage: ProviderCoverage) => Gap | null;
    readonly isEmpty: (value: Value) => boolean;
    /** Whether a later source's value is to stand instead of one whose source ends too early. */
    readonly reachesFurther: (value: Value, shorter: Value) => boolean;
  }): Promise<SymbolResult<Value>[]> => {
    const { request, call, gapOf, isEmpty, reachesFurther } = input;
    const pending = new Map(request.symbols.map((symbol) => [symbol, newTrail<Value>()]));
    const answers = new Map<string, SymbolResult<Value>>();
    const total = pending.size;
    let reported = 0;

    for (const provider of providers) {
      if (pending.size === 0) break;
      request.signal?.throwIfAborted();
      const open = [...pending.keys()];
      const gap = await coverageGap(provider, gapOf, request.signal);
      if (gap?.whole === true) {
        for (const trail of pending.values()) trail.attempts.push(gap.attempt);
        continue;
      }
      const offset = answers.size;
      const onProgress = request.onProgress;
      const results = await callProvider(provider, request.signal, () =>
        call(provider, {
          ...request,
          symbols: open,
          onProgress:
            onProgress &&
            (({ done }) => {
              // A later source is asked again for symbols whose end is missing: never backwards.
              reported = Math.max(reported, offset + done);
              onProgress({ done: reported, total });
            }),
        }),
      );
      for (const symbol of open) {
        const trail = pending.get(symbol) ?? newTrail<Value>();
        const result = results.get(symbol) ?? missingAnswer(provider.id, symbol);
        const answer = settle({
          result,
          trail,
          provider,
          isEmpty,
          reachesFurther,
          endsEarly: gap?.attempt ?? null,
          finalAttempt: request.finalAttempt === true,
        });
        if (answer === null) continue;
        answers.set(symbol, answer);
        pending.delete(symbol);
      }
    }
    for (const [symbol, trail] of pending) answers.set(symbol, giveUp({ symbol, trail, chain: id }));
    return request.symbols.map((symbol) => answers.get(symbol) ?? missingAnswer(id, symbol));
  };

  const rangeGap =
    (request: RangeRequest) =>
    (coverage: ProviderCoverage): Gap | null => {
      const to = request.to < request.asOfSession ? request.to : request.asOfSession;
      const { firstSession, lastSession } = coverage;
      if (lastSession !== null && to > lastSession) {
        return { why: `has data until ${lastSession} only`, whole: request.from > lastSession };
      }
      if (firstSession !== null && to < firstSession) return allOf(`has data from ${firstSession} on only`);
      return null;
    };

  return {
    id,
    providers,
    coverages: () => Promise.all(providers.map((provider) => provider.coverage())),
    async coverage() {
      const results = await Promise.allSettled(providers.map((provider) => provider.coverage()));
      const known = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
      const failure = results.find((result) => result.status === 'rejected');
      if (known.length === 0) throw toProviderError(failure?.reason, first.id);
      return mergeCoverage(id, known);
    },
    bars: (request) =>
      ask<BarsValue, RangeRequest>({
        request,
        call: (provider, part) => provider.bars(part),
        gapOf: rangeGap(request),
        // A known symbol without one bar in the range: perhaps the next source has them.
        isEmpty: (value) => value.bars.epochDays.length === 0,
        reachesFurther: (value, shorter) =>
          (value.bars.epochDays.at(-1) ?? 0) > (shorter.bars.epochDays.at(-1) ?? 0),
      }),
    corporateActions: (request) =>
      ask({
        request,
        call: (provider, part) => provider.corporateActions(part),
        gapOf: (coverage) =>
          coverage.has.corporateActions ? rangeGap(request)(coverage) : allOf('has no corporate actions'),
        isEmpty: () => false,
        // No action is an answer too: the source that has the whole range knows better.
        reachesFurther: () => true,
      }),
    fundamentals: (request) =>
      ask({
        request,
        call: (provider, part) => provider.fundamentals(part),
        gapOf: (coverage) => (coverage.has.fundamentals ? null : allOf('has no fundamentals')),
        isEmpty: () => false,
        reachesFurther: () => false,
      }),
    instruments: (request) =>
      ask({
        request,
        call: (provider, part) => provider.instruments(part),
        gapOf: (coverage) => (coverage.has.instruments ? null : allOf('has no instrument data')),
        isEmpty: () => false,
        reachesFurther: () => false,
      }),
    ...(providers.length > 1 && {
      splitSources: (request) => askOtherSources(providers, request),
      barSources: (request) => askBarSources(providers, request),
    }),
  };
}

/** What a source cannot have of a request: all of it, or its end. */
interface Gap {
  readonly why: string;
  readonly whole: boolean;
}

function allOf(why: string): Gap {
  return { why, whole: true };
}

type Answer<Value> = SymbolResult<Value> & { readonly ok: true };

/** What happened to a symbol so far. */
interface Trail<Value> {
  readonly attempts: ProviderAttempt[];
  readonly errors: ProviderError[];
  /** Sources that can have the end of the range and answered. */
  readonly answeredBy: string[];
  /** The first answer without content, kept in case nobody has more. */
  empty: Answer<Value> | null;
  /** The best answer of a source that ends before the range does. */
  short: Answer<Value> | null;
}

function newTrail<Value>(): Trail<Value> {
  return { attempts: [], errors: [], answeredBy: [], empty: null, short: null };
}

function missingAnswer(provider: string, symbol: string): SymbolResult<never> {
  const error = new NotFoundError(`${provider} gave no answer for ${symbol}`, { provider, symbol });
  return { ok: false, symbol, error, attempts: [] };
}

/** The symbol's final result, or null if the next provider is to be asked. */
function settle<Value>(input: {
  readonly result: SymbolResult<Value>;
  readonly trail: Trail<Value>;
  readonly provider: MarketDataProvider;
  readonly isEmpty: (value: Value) => boolean;
  readonly reachesFurther: (value: Value, shorter: Value) => boolean;
  /** Set for a source that ends before the range does. */
  readonly endsEarly: ProviderAttempt | null;
  readonly finalAttempt: boolean;
}): SymbolResult<Value> | null {
  const { result, trail, provider, isEmpty, reachesFurther, endsEarly, finalAttempt } = input;
  if (result.ok) {
    const provenance = { ...result.provenance, fallbackFrom: [...trail.attempts] };
    if (endsEarly === null) trail.answeredBy.push(provider.id);
    const answer = { ...result, provenance, answeredBy: [...trail.answeredBy] };
    if (isEmpty(result.value)) {
      trail.empty ??= answer;
      const message = `${provider.id} has no data for ${result.symbol} in the range`;
      trail.attempts.push({ provider: provider.id, outcome: 'notCovered', message });
      return null;
    }
    const isBest = trail.short === null || reachesFurther(result.value, trail.short.value);
    if (endsEarly === null && isBest) return answer;
    if (isBest) trail.short = answer;
    const message = `${provider.id} has nothing newer of ${result.symbol}`;
    trail.attempts.push(endsEarly ?? { provider: provider.id, outcome: 'notCovered', message });
    return null;
  }
  const { error } = result;
  trail.attempts.push({ provider: provider.id, outcome: error.code, message: error.message });
  trail.errors.push(error);
  if (finalAttempt || FALLS_THROUGH.has(error.code)) return null;
  return { ok: false, symbol: result.symbol, error, attempts: [...trail.attempts] };
}

function giveUp<Value>(input: {
  readonly symbol: string;
  readonly trail: Trail<Value>;
  readonly chain: string;
}): SymbolResult<Value> {
  const { symbol, trail, chain } = input;
  const hope = (error: ProviderError): number =>
    ['notRetryable', 'needsPerson', 'retryable'].indexOf(dispositionOf(error.code));
  const best = trail.errors.reduce<ProviderError | null>(
    (before, error) => (before === null || hope(error) > hope(before) ? error : before),
    null,
  );
  // A failure worth another try has ended the request before this, unless it was the last attempt.
  const answeredBy = [...trail.answeredBy];
  if (trail.short !== null) {
    return { ...trail.short, answeredBy, attempts: [...trail.attempts] };
  }
  // "Nothing in this range" is an answer, unless someone who might have had it failed.
  if (trail.empty !== null && (best === null || hope(best) === 0)) return { ...trail.empty, answeredBy };
  const message = `no provider of ${chain} has ${symbol}: ${trail.attempts.map((one) => one.message).join('; ')}`;
  const error = best ?? new NotFoundError(message, { provider: chain, symbol });
  return { ok: false, symbol, error, attempts: [...trail.attempts] };
}

/** Calls a provider; if the whole source fails, every symbol has that failure. An abort goes through. */
async function callProvider<Value>(
  provider: MarketDataProvider,
  signal: AbortSignal | undefined,
  call: () => Promise<readonly SymbolResult<Value>[]>,
): Promise<ReadonlyMap<string, SymbolResult<Value>>> {
  try {
    return new Map((await call()).map((result) => [result.symbol, result]));
  } catch (cause) {
    signal?.throwIfAborted();
    const error = toProviderError(cause, provider.id);
    return new FailedSource<Value>(error);
  }
}

/** Answers every symbol with the failure of the whole source. */
class FailedSource<Value> extends Map<string, SymbolResult<Value>> {
  private readonly failure: ProviderError;

  constructor(failure: ProviderError) {
    super();
    this.failure = failure;
  }

  override get(symbol: string): SymbolResult<Value> {
    return { ok: false, symbol, error: this.failure, attempts: [] };
  }
}

async function coverageGap(
  provider: MarketDataProvider,
  gapOf: (coverage: ProviderCoverage) => Gap | null,
  signal: AbortSignal | undefined,
): Promise<{ readonly attempt: ProviderAttempt; readonly whole: boolean } | null> {
  try {
    const gap = gapOf(await provider.coverage());
    if (gap === null) return null;
    const message = `${provider.id} ${gap.why}`;
    return { attempt: { provider: provider.id, outcome: 'notCovered', message }, whole: gap.whole };
  } catch {
    // Whether it can answer is unknown: ask it, its answer carries the failure.
    signal?.throwIfAborted();
    return null;
  }
}

/** The union: what at least one provider has. Basis and survivorship are the first one's. */
function mergeCoverage(id: string, coverages: readonly ProviderCoverage[]): ProviderCoverage {
  const [first] = coverages;
  if (first === undefined) throw new RangeError('no coverage to merge');
  const symbols = new Set<string>();
  for (const coverage of coverages) for (const symbol of coverage.symbols ?? []) symbols.add(symbol);
  return {
    provider: id,
    dataset: coverages.map((coverage) => coverage.dataset).join('+'),
    firstSession: widest(
      coverages.map((coverage) => coverage.firstSession),
      (a, b) => a < b,
    ),
    lastSession: widest(
      coverages.map((coverage) => coverage.lastSession),
      (a, b) => a > b,
    ),
    symbols: coverages.some((coverage) => coverage.symbols === null) ? null : [...symbols].sort(),
    basis: first.basis,
    survivorship: first.survivorship,
    has: {
      corporateActions: coverages.some((coverage) => coverage.has.corporateActions),
      fundamentals: coverages.some((coverage) => coverage.has.fundamentals),
      instruments: coverages.some((coverage) => coverage.has.instruments),
    },
  };
}

/** The outermost of some ends; an open one (null) is the widest. */
function widest(ends: readonly (string | null)[], isWider: (a: string, b: string) => boolean): string | null {
  return ends.reduce((best, end) => (best === null || end === null ? null : isWider(end, best) ? end : best));
}

/** How long to wait before asking again: the longest wish of the rate-limited results, null if none. */
export function retryAfterMs(results: readonly SymbolResult<unknown>[]): number | null {
  const waits = results.flatMap((result) =>
    !result.ok && result.error instanceof RateLimitedError ? [result.error.retryAfterMs] : [],
  );
  return waits.length === 0 ? null : Math.max(...waits);
}
