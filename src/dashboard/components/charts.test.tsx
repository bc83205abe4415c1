import { describe, expect, it } from 'vitest';
import { Bar, CalibrationCurve, scriptJson } from './charts.tsx';
import { drawn } from './drawn.ts';

describe('data for a chart', () => {
  it('cannot end the element it stands in', () => {
    const value = { label: '</script><!--<b>' };
    expect(scriptJson(value)).not.toContain('<');
    expect(JSON.parse(scriptJson(value))).toEqual(value);
  });
});

describe('a bar', () => {
  it('goes from the middle to its value where there are signs, and never beyond its edge', async () => {
    const signed = await drawn(<Bar value={-0.5} most={1} signed low={-2} high={0} />);
    expect(signed).toContain('class="minus" x="25" width="25"');
    expect(signed).toContain('x1="0" x2="50"');
    expect(await drawn(<Bar value={3} most={1} />)).toContain('class="plus" x="0" width="100"');
    expect(await drawn(<Bar value={null} most={0} />)).toContain('width="0"');
  });
});

describe('a calibration curve', () => {
  it('has a point for each group, all within its frame', async () => {
    const points = [
      { x: 0.4, y: 0.35, low: 0.1, high: 0.6 },
      { x: 0.6, y: 0.7, low: null, high: null },
    ];
    const curve = await drawn(<CalibrationCurve points={points} />);
    const places = [...curve.matchAll(/c[xy]="([\d.]+)"/g)].map(([, at = '']) => Number(at));
    expect(places).toHaveLength(4);
    for (const at of places) expect(at).toSatisfy((value: number) => value >= 8 && value <= 320);
    expect(curve.match(/class="range"/g)).toHaveLength(1);
  });
});
