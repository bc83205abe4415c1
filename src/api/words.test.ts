import { describe, expect, it } from 'vitest';
import { RUN_STATES } from '../contracts/wire/names.ts';
import { documentWord, snakeCased } from './words.ts';

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
    expect([snakeCased(null), snakeCased('aB'), snakeCased([1, 'aB'])]).toEqual([null, 'aB', [1, 'aB']]);
  });
});
