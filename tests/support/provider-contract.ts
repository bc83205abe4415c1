import { expect } from 'vitest';
import { epochDayOf } from '../../src/domain/bars.ts';
import { ProviderError } from '../../src/providers/errors.ts';
import type { MarketDataProvider, SymbolResult } from '../../src/providers/port.ts';

interface ProviderContract {
  readonly provider: MarketDataProvider;
  /** A symbol with bars before, on and after `asOfSession`. */
  readonly known: string;
  /** A symbol the source does not have. */
  readonly unknown: string;
  readonly from: string;
  readonly asOfSession: string;
  /** A session after `asOfSession` for which the source has a bar of `known`. */
  readonly later: string;
}

/** What every provider must do, whatever its source: docs/how-to/add-a-provider.md. */
export async function checkProviderContract(contract: ProviderContract): Promise<void> {
  const { provider, known, unknown, from, asOfSession, later } = contract;
  const request = { symbols: [unknown, known, unknown], from, to: later, asOfSession };

  const coverage = await provider.coverage();
  expect(coverage.provider).toBe(provider.id);

  const progress: number[] = [];
  const bars = await provider.bars({ ...request, onProgress: ({ done }) => progress.push(done) });
  const actions = await provider.corporateActions(request);
  const fundamentals = await provider.fundamentals({ symbols: request.symbols, asOfSession });
  const instruments = await provider.instruments({ symbols: request.symbols, asOfSession });
  for (const results of [bars, actions, fundamentals, instruments]) {
    expect(results.map((result: SymbolResult<unknown>) => result.symbol)).toEqual(request.symbols);
    for (const result of results) {
      if (result.symbol === unknown && !result.ok) {
        expect(result.error).toBeInstanceOf(ProviderError);
        expect(result.error).toMatchObject({ code: 'notFound', symbol: unknown, provider: provider.id });
      }
      if (result.ok) {
        expect(result.provenance).toMatchObject({ provider: provider.id, fallbackFrom: [] });
        expect(Number.isNaN(Date.parse(result.provenance.fetchedAt))).toBe(false);
      }
    }
  }
  expect(bars[0]?.ok).toBe(false);
  expect(progress).toEqual(progress.toSorted((a, b) => a - b));

  const answer = bars[1];
  if (answer?.ok !== true) throw new Error(`no bars of ${known}: ${answer?.error.message ?? 'no result'}`);
  const { epochDays, open, high, low, close, volume, symbol } = answer.value.bars;
  expect(symbol).toBe(known);
  for (const column of [open, high, low, close, volume]) expect(column).toHaveLength(epochDays.length);
  expect([...epochDays]).toEqual([...epochDays].toSorted((a, b) => a - b));
  expect(epochDays[0]).toBeGreaterThanOrEqual(epochDayOf(from));
  expect(epochDays.at(-1)).toBe(epochDayOf(asOfSession));

  const shown = actions[1];
  if (shown?.ok === true) {
    for (const { exDate } of [...shown.value.splits, ...shown.value.dividends]) {
      expect(exDate <= asOfSession && exDate >= from).toBe(true);
    }
  }
  const records = fundamentals[1];
  if (records?.ok === true) {
    for (const record of records.value) expect(record.availableAt <= asOfSession).toBe(true);
  }

  const signal = AbortSignal.abort(new Error('stopped by the contract'));
  await expect(provider.bars({ ...request, signal })).rejects.toThrow('stopped by the contract');
}
