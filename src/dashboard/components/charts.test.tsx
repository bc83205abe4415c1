import { describe, expect, it } from 'vitest';
import { Bar, CalibrationCurve, Chart, scriptJson } from './charts.tsx';
import { drawn } from './drawn.ts';

describe('data for a chart', () => {
  it('cannot end the element it stands in', () => {
    const value = { label: '</script><!--<b>' };
    expect(scriptJson(value)).not.toContain('<');
    expect(JSON.parse(scriptJson(value))).toEqual(value);
  });
});

describe('a chart', () => {
  const sessions = Array.from({ length: 70 }, (_, day) =>
    new Date(Date.UTC(2018, 0, 1 + day)).toISOString().slice(0, 10),
  );
  const series = [
    { label: 'Stack', values: sessions.map((_, day) => (day === 69 ? null : day / 100)) },
    { label: 'Better', values: sessions.map((_, day) => (day === 68 ? 1 : null)), points: true },
  ];

  it('has its numbers in a table, the newest first, as many as are read, and where the others are', async () => {
    const html = await drawn(
      <Chart title="Odds" spec={{ sessions, series, unit: 'share' }} all="/api/v1/all?format=csv" />,
    );
    const [table = ''] = /<table.*<\/table>/s.exec(html) ?? [];
    const rows = [...table.matchAll(/<tr[^>]*>(.*?)<\/tr>/gs)].map(([, row = '']) =>
      row
        .replaceAll(/<[^>]+>/g, ' ')
        .trim()
        .split(/\s{2,}/),
    );
    expect(rows.slice(0, 4)).toEqual([
      ['Session', 'Stack', 'Better'],
      ['2018-03-11', '–'],
      ['2018-03-10', '68.0 %', 'yes'],
      ['2018-03-09', '67.0 %'],
    ]);
    expect(rows).toHaveLength(1 + 63);
    expect(html).toContain('the last 63 of 70 sessions');
    expect(html).toContain('href="/api/v1/all?format=csv"');
    const short = await drawn(<Chart title="Odds" spec={{ sessions: [], series, unit: 'share' }} all="/x" />);
    expect(short).not.toContain('the last');
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
