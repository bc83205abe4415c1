import { array, assert, boolean, constantFrom, integer, nat, property, tuple } from 'fast-check';
import { describe, expect, it } from 'vitest';

import { type DagNode, type DagState, dependentsOf, latestRestart, nextStep, overallState } from './dag.ts';

type Name = 'ingestion' | 'training' | 'scan' | 'backtest' | 'drift';
const NIGHT: DagNode<Name>[] = [
  { id: 'ingestion', dependsOn: [] },
  { id: 'training', dependsOn: ['ingestion'] },
  { id: 'scan', dependsOn: ['training'] },
  { id: 'backtest', dependsOn: ['ingestion'] },
  { id: 'drift', dependsOn: ['training', 'backtest'] },
];

describe('nextStep', () => {
  it('starts with what needs nothing', () => {
    expect(nextStep(NIGHT, {})).toEqual({ ready: ['ingestion'], skip: [], done: false });
  });

  it('waits while a need runs', () => {
    expect(nextStep(NIGHT, { ingestion: 'started' })).toEqual({ ready: [], skip: [], done: false });
  });

  it('goes on with independent branches and skips a failed one to its end, each with its reason', () => {
    expect(nextStep(NIGHT, { ingestion: 'succeeded', training: 'failed' })).toEqual({
      ready: ['backtest'],
      skip: [
        { id: 'scan', reason: 'training failed' },
        { id: 'drift', reason: 'training failed' },
      ],
      done: false,
    });
    expect(nextStep(NIGHT, { ingestion: 'failed' }).skip).toEqual([
      { id: 'training', reason: 'ingestion failed' },
      { id: 'scan', reason: 'training was skipped' },
      { id: 'backtest', reason: 'ingestion failed' },
      { id: 'drift', reason: 'training was skipped' },
    ]);
  });

  it('skips what needs a disabled task', () => {
    expect(
      nextStep(NIGHT, { ingestion: 'succeeded', training: 'disabled', backtest: 'started' }).skip,
    ).toEqual([
      { id: 'scan', reason: 'training is disabled' },
      { id: 'drift', reason: 'training is disabled' },
    ]);
  });

  it('treats a need that is not in the night as missing', () => {
    const nodes: DagNode<string>[] = [{ id: 'b', dependsOn: ['a'] }];
    expect(nextStep(nodes, {})).toEqual({
      ready: [],
      skip: [{ id: 'b', reason: 'a is not a part of it' }],
      done: true,
    });
  });

  it('ends every random night: each task runs or is skipped, never before its needs', () => {
    const outcome = constantFrom<DagState>('succeeded', 'failed', 'cancelled');
    const night = integer({ min: 1, max: 9 }).chain((size) =>
      tuple(
        array(outcome, { minLength: size, maxLength: size }),
        array(array(nat({ max: 8 })), { minLength: size, maxLength: size }),
        array(boolean(), { minLength: size, maxLength: size }),
      ),
    );
    assert(
      property(night, ([outcomes, needs, disabled]) => {
        const nodes = outcomes.map((_, index) => ({
          id: `t${index}`,
          dependsOn: [
            ...new Set((needs[index] ?? []).filter((need) => need < index).map((need) => `t${need}`)),
          ],
        }));
        const states: Record<string, DagState> = {};
        for (const [index, off] of disabled.entries()) if (off) states[`t${index}`] = 'disabled';
        for (let round = 0; round < 50; round += 1) {
          const step = nextStep(nodes, states);
          for (const { id } of step.skip) states[id] = 'skipped';
          for (const id of step.ready) {
            const node = nodes.find((candidate) => candidate.id === id);
            expect(node?.dependsOn.every((need) => states[need] === 'succeeded')).toBe(true);
            states[id] = outcomes[Number(id.slice(1))] ?? 'succeeded';
          }
          if (step.done) break;
        }
        expect(nextStep(nodes, states)).toEqual({ ready: [], skip: [], done: true });
        expect(Object.keys(states)).toHaveLength(nodes.length);
      }),
    );
  });
});

describe('dependents, words and deadlines', () => {
  it('finds dependents through others', () => {
    expect(dependentsOf(NIGHT, 'ingestion')).toEqual(['training', 'scan', 'backtest', 'drift']);
    expect(dependentsOf(NIGHT, 'backtest')).toEqual(['drift']);
    expect(dependentsOf(NIGHT, 'scan')).toEqual([]);
  });

  it('finds the word for the night', () => {
    expect(overallState(['succeeded', 'succeeded'])).toBe('succeeded');
    expect(overallState(['succeeded', 'disabled'])).toBe('succeeded');
    expect(overallState(['succeeded', 'failed', 'skipped'])).toBe('partial');
    expect(overallState(['failed', 'skipped'])).toBe('failed');
    expect(overallState(['disabled', 'disabled'])).toBe('disabled');
  });

  it('leaves room for the task and its pending dependents before the next night', () => {
    const cost: Record<Name, number> = { ingestion: 1, training: 120, scan: 180, backtest: 90, drift: 135 };
    const common = { nodes: NIGHT, costMs: (id: Name) => cost[id], nextStartMs: 1000 };
    const open = { ingestion: 'succeeded', training: 'started' } as const;
    expect(latestRestart({ ...common, states: open, id: 'training' })).toBe(1000 - 120 - 180 - 135);
    // Drift was lost with the backtest already: it needs no room.
    const lost = { ...open, backtest: 'failed', drift: 'skipped' } as const;
    expect(latestRestart({ ...common, states: lost, id: 'training' })).toBe(1000 - 120 - 180);
  });
});
