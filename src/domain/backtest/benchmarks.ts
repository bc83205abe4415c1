import type { PriceGrid } from './simulate.ts';

export interface BuyAndHold {
  /** Session index of the first return. */
  readonly firstSession: number;
  /** Close-to-close returns per session. */
  readonly returns: Float64Array;
  readonly symbols: number;
}

/**
 * Equal amounts of every symbol with a close at `startSession`, held to `endSession` from close to close without
 * rebalancing; a missing close is carried forward. It holds overnight, which the strategy at h = 1 never does, and
 * lacks dividends: both must be said beside its numbers.
 */
export function buyAndHold(prices: PriceGrid, startSession: number, endSession: number): BuyAndHold {
  const held: number[] = [];
  for (let symbol = 0; symbol < prices.symbols; symbol += 1) {
    if ((prices.close[startSession * prices.symbols + symbol] as number) > 0) held.push(symbol);
  }
  const length = held.length === 0 ? 0 : Math.max(0, endSession - startSession);
  const returns = new Float64Array(length);
  const last = held.map((symbol) => prices.close[startSession * prices.symbols + symbol] as number);
  const value = held.map(() => 1);
  let wealth = held.length;
  for (let day = 0; day < length; day += 1) {
    const row = (startSession + 1 + day) * prices.symbols;
    held.forEach((symbol, i) => {
      const close = prices.close[row + symbol] as number;
      if (!(close > 0)) return;
      value[i] = (value[i] as number) * (close / (last[i] as number));
      last[i] = close;
    });
    const now = value.reduce((a, b) => a + b, 0);
    returns[day] = now / wealth - 1;
    wealth = now;
  }
  return { firstSession: startSession + 1, returns, symbols: held.length };
}
