import { describe, expect, it } from 'vitest';
import { BAR_STATES } from '../../domain/labels.ts';
import { countLeftOut, leftOutInWords } from './left-out.ts';

describe('countLeftOut', () => {
  const sessions = ['d0', 'd1', 'd2', 'd3', 'd4'];
  const { usable, flagged, missing } = BAR_STATES;
  const states = [
    Uint8Array.of(flagged, flagged, usable, flagged, usable),
    Uint8Array.of(usable, usable, flagged, missing, usable),
  ];
  const oof = { session: Int32Array.of(1, 2, 3, 4), block: Int32Array.of(0, 0, 1, 1) };

  it('counts doubtful decision bars of the sessions of each block', () => {
    expect(countLeftOut(oof, { sessions, states })).toEqual([
      { block: 0, rows: 2, sessions: 2, firstSession: 'd1', lastSession: 'd2' },
      { block: 1, rows: 1, sessions: 2, firstSession: 'd3', lastSession: 'd4' },
    ]);
  });

  it('says so in words', () => {
    expect(leftOutInWords(countLeftOut(oof, { sessions, states }))).toBe(
      '3 rows whose decision bar is doubtful by now were not predicted and are in neither variant ' +
        '(by test block: 2 from d1, 1 from d3); where the doubt came later this is hindsight',
    );
  });
});
