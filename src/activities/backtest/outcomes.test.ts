import { describe, expect, it } from 'vitest';
import type { OpenPrediction } from '../../db/queries/outcomes.ts';
import { BAR_STATES, computeLabels } from '../../domain/labels.ts';
import { outcomesOf } from './outcomes.ts';

const SESSIONS = ['d0', 'd1', 'd2', 'd3', 'd4'];
const SYMBOLS = ['A', 'B', 'C'];

function market(change: (panel: ReturnType<typeof plain>) => void = () => undefined) {
  const panel = plain();
  change(panel);
  return panel;
}

/** Opens at 100; A closes at 101, B at 102, C at 103. */
function plain() {
  const column = (value: number) => new Float64Array(SESSIONS.length).fill(value);
  return {
    sessions: SESSIONS,
    symbols: SYMBOLS,
    open: SYMBOLS.map(() => column(100)),
    close: SYMBOLS.map((_, i) => column(101 + i)),
    states: SYMBOLS.map(() => new Uint8Array(SESSIONS.length)),
  };
}

function predict(sessionDate: string, symbol: string): OpenPrediction {
  return {
    sessionDate,
    symbol,
    universe: 'tiny',
    universeVersion: 'v1',
    modelVersion: 'm1',
    revision: 1,
    horizonSessions: 2,
    simulated: false,
    outcomes: 0,
  };
}

function outcomes(panel: ReturnType<typeof plain>, predictions: OpenPrediction[], waitSessions = 1) {
  const horizonSessions = 2;
  const labels = computeLabels({ ...panel, horizonSessions });
  return outcomesOf({ predictions, panel, labels, horizonSessions, waitSessions });
}

describe('outcomesOf', () => {
  it('enters at the next open, leaves at the close of S + h', () => {
    const [row] = outcomes(market(), [predict('d0', 'C')]);
    expect(row).toMatchObject({
      entrySession: 'd1',
      exitSession: 'd2',
      entryPrice: 100,
      exitPrice: 103,
      targetDirection: 1,
      targetExcess: 1,
      missingReason: null,
    });
    expect(row?.forwardReturn).toBeCloseTo(0.03, 12);
    expect(row?.excessReturn).toBeCloseTo(0.01, 12);
  });

  it('leaves what is not due open', () => {
    expect(outcomes(market(), [predict('d3', 'A'), predict('d4', 'A')])).toEqual([]);
    expect(outcomes(market(), [predict('d2', 'A')])).toHaveLength(1);
  });

  it('a doubtful price is final, with the reason', () => {
    const panel = market(({ states }) => states[0]?.fill(BAR_STATES.flagged, 4));
    expect(outcomes(panel, [predict('d2', 'A')])).toMatchObject([
      { missingReason: 'exitFlagged', forwardReturn: null, targetExcess: null },
    ]);
  });

  it('a missing price is waited for, then final', () => {
    const panel = market(({ open, close, states }) => {
      open[0]?.fill(Number.NaN, 3);
      close[0]?.fill(Number.NaN, 3);
      states[0]?.fill(BAR_STATES.missing, 3);
    });
    expect(outcomes(panel, [predict('d2', 'A')], 1)).toEqual([]);
    expect(outcomes(panel, [predict('d1', 'A')], 1)).toMatchObject([{ missingReason: 'exitMissing' }]);
    expect(outcomes(panel, [predict('d2', 'A')], 0)).toMatchObject([{ missingReason: 'entryMissing' }]);
  });

  it('a quarantined price is waited for as long', () => {
    const panel = market(({ open, close, states }) => {
      open[0]?.fill(Number.NaN, 4);
      close[0]?.fill(Number.NaN, 4);
      states[0]?.fill(BAR_STATES.quarantined, 4);
    });
    expect(outcomes(panel, [predict('d2', 'A')], 1)).toEqual([]);
    expect(outcomes(panel, [predict('d2', 'A')], 0)).toMatchObject([
      { missingReason: 'exitQuarantined', earliestSession: 'd4' },
    ]);
  });

  it('a symbol that is no member says so', () => {
    expect(outcomes(market(), [predict('d0', 'Z')])).toMatchObject([
      { missingReason: 'no outcome is stored', entryPrice: null, targetDirection: null },
    ]);
  });
});
