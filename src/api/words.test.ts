import { describe, expect, it } from 'vitest';
import { RUN_STATES } from '../contracts/wire/names.ts';
import { documentWord, lastResult, snakeCased } from './words.ts';

describe('the documents’ words', () => {
  it('are these, for each state there is', () => {
    expect(Object.fromEntries(RUN_STATES.map((state) => [state, documentWord(state)]))).toEqual({
      pending: 'pending',
      waiting: 'pending',
      running: 'running',
      succeeded: 'success',
      failed: 'error',
      skipped: 'skipped',
      awaiting_review: 'error',
      cancelled: 'cancelled',
      disabled: 'disabled',
    });
  });

  it('write names in snake case at every depth, and leave values and keys that are data', () => {
    expect(
      snakeCased({
        totalSymbols: 83,
        coverage: { firstSession: '2018-02-07', ratio: null },
        failures: [{ symbol: 'BRK.B', lastBar: null }],
        bySymbol: { AAPL: 1, 'BRK.B': 2, '2018-02-07': 3 },
      }),
    ).toEqual({
      total_symbols: 83,
      coverage: { first_session: '2018-02-07', ratio: null },
      failures: [{ symbol: 'BRK.B', last_bar: null }],
      by_symbol: { AAPL: 1, 'BRK.B': 2, '2018-02-07': 3 },
    });
    expect(lastResult('ingestion', { totalSymbols: 83, successful: 82, totalCandles: 41_500 })).toEqual({
      symbols_processed: 82,
      candles_ingested: 41_500,
      total_symbols: 83,
      successful: 82,
      total_candles: 41_500,
    });
    expect([lastResult('training', { successful: 1 }), lastResult('ingestion', null)]).toEqual([
      { successful: 1 },
      {},
    ]);
    expect([snakeCased(null), snakeCased('aB'), snakeCased([1, 'aB'])]).toEqual([null, 'aB', [1, 'aB']]);
  });
});
