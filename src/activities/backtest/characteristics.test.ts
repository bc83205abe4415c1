import { describe, expect, it } from 'vitest';
import { createRng } from '../../domain/statistics/rng.ts';
import { characteristicsOf, priceGrid } from './characteristics.ts';

const SESSIONS = 200;

function market(betas: number[]) {
  const rng = createRng(3);
  const moves = Array.from({ length: SESSIONS }, () => 0.01 * rng.normal());
  const close = betas.map((beta) => {
    let price = 50;
    return Float64Array.from(moves, (move) => (price *= 1 + beta * move));
  });
  return {
    sessions: moves.map((_, i) => String(i)),
    symbols: betas.map((_, i) => String(i)),
    close,
    volume: betas.map((_, i) => new Float64Array(SESSIONS).fill(1000 * (i + 1))),
  };
}

const rowsAt = (session: number, symbols: number) => ({
  session: new Int32Array(symbols).fill(session),
  symbol: Int32Array.from({ length: symbols }, (_, i) => i),
});

describe('characteristicsOf', () => {
  it('finds the betas a market was made with', () => {
    const { beta } = characteristicsOf(market([0.5, 1, 1.5]), rowsAt(SESSIONS - 1, 3));
    expect([...beta].map((value) => Math.round(value * 1e6) / 1e6)).toEqual([0.5, 1, 1.5]);
  });

  it('knows no beta before 63 returns', () => {
    const panel = market([0.5, 1.5]);
    expect([...characteristicsOf(panel, rowsAt(62, 2)).beta].every(Number.isNaN)).toBe(true);
    expect([...characteristicsOf(panel, rowsAt(63, 2)).beta].every(Number.isFinite)).toBe(true);
  });

  it('sees nothing later than the row', () => {
    const panel = market([0.5, 1.5]);
    const before = characteristicsOf(panel, rowsAt(100, 2));
    for (const column of [...panel.close, ...panel.volume]) column.fill(7, 101);
    expect(characteristicsOf(panel, rowsAt(100, 2))).toEqual(before);
  });

  it('size is dollars of 21 sessions, over those that were delivered', () => {
    const panel = market([0, 0]);
    panel.volume[0]?.fill(Number.NaN, 140, 151);
    panel.volume[1]?.fill(Number.NaN, 100);
    const { size } = characteristicsOf(panel, rowsAt(150, 2));
    expect(size[0]).toBeCloseTo(50_000, 6);
    expect(size[1]).toBeNaN();
  });
});

describe('priceGrid', () => {
  it('lies by session, then symbol', () => {
    const panel = {
      ...market([1, 1]),
      open: [new Float64Array(SESSIONS).fill(1), new Float64Array(SESSIONS)],
    };
    const { open, close, sessions, symbols } = priceGrid(panel);
    expect([sessions, symbols, open[0], open[1], open[2]]).toEqual([SESSIONS, 2, 1, 0, 1]);
    expect(close[5]).toBe(panel.close[1]?.[2]);
  });
});
