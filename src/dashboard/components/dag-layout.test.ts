import { describe, expect, it } from 'vitest';
import { layOut } from './dag-layout.ts';

const NIGHT = [
  { name: 'ingestion', needs: [] },
  { name: 'training', needs: ['ingestion'] },
  { name: 'overnightScan', needs: ['training'] },
  { name: 'backtest', needs: ['ingestion'] },
  { name: 'driftMonitoring', needs: ['training', 'backtest'] },
];

describe('the picture of a night', () => {
  it('has each task right of what it needs, none on another', () => {
    const { nodes, edges, columns, rows } = layOut(NIGHT);
    expect(Object.fromEntries(nodes.map(({ name, column, row }) => [name, [column, row]]))).toEqual({
      ingestion: [0, 0],
      training: [1, 0],
      overnightScan: [2, 0],
      backtest: [1, 1],
      driftMonitoring: [2, 1],
    });
    expect([columns, rows]).toEqual([3, 2]);
    expect(edges.map(([from, to]) => `${from.name} ${to.name}`)).toEqual([
      'ingestion training',
      'training overnightScan',
      'ingestion backtest',
      'training driftMonitoring',
      'backtest driftMonitoring',
    ]);
  });

  it('leaves out needs that are no part of it, and ends on a circle', () => {
    const { nodes, edges } = layOut([
      { name: 'a', needs: ['b', 'gone'] },
      { name: 'b', needs: ['a'] },
    ]);
    expect(nodes).toHaveLength(2);
    expect(edges).toHaveLength(2);
    expect(layOut([])).toEqual({ nodes: [], edges: [], columns: 0, rows: 0 });
  });
});
