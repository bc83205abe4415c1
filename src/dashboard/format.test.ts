import { describe, expect, it } from 'vitest';
import {
  count,
  duration,
  fixed,
  limit,
  percent,
  relative,
  sentence,
  signed,
  utcOffset,
  words,
} from './format.ts';

describe('numbers for people', () => {
  it('have a dash where there is none, and no negative zero', () => {
    expect([fixed(null), signed(undefined), percent(Number.NaN), count(null), duration(null)]).toEqual(
      Array.from({ length: 5 }, () => '–'),
    );
    expect([fixed(-0.00001, 3), signed(-0.00001, 3), signed(0.00001, 3)]).toEqual([
      '0.000',
      '0.000',
      '0.000',
    ]);
  });

  it('show signs of changes, separators and per cent', () => {
    expect([signed(0.5, 2), signed(-0.5, 2)]).toEqual(['+0.50', '−0.50']);
    expect([percent(0.1234), percent(-0.05, { sign: true }), percent(0.05, { sign: true })]).toEqual([
      '12.3 %',
      '−5.0 %',
      '+5.0 %',
    ]);
    expect(count(138_805)).toBe('138,805');
  });

  it('give lengths of time in the unit they are thought of', () => {
    expect(
      [800, 12_440, 59_949, 59_950, 185_000, 3_600_000, 7_800_000, 200 * 3_600_000].map(duration),
    ).toEqual([
      '0.8 s',
      '12.4 s',
      '59.9 s',
      '1 min 00 s',
      '3 min 05 s',
      '1 h 00 min',
      '2 h 10 min',
      '8 days',
    ]);
    expect([1_800_000, 7_200_000, 5_400_000, 1_500].map(limit)).toEqual(['30 min', '2 h', '90 min', '1.5 s']);
    const now = Date.parse('2018-02-08T05:00:00Z');
    expect([-10, 300, -5400, 3 * 86_400].map((seconds) => relative(now + seconds * 1000, now))).toEqual([
      'a moment ago',
      'in 5 min',
      '2 h ago',
      'in 3 days',
    ]);
  });

  it('name tasks and states in words', () => {
    expect([words('overnightScan'), words('awaiting_review'), sentence('drift')]).toEqual([
      'overnight scan',
      'awaiting review',
      'Drift',
    ]);
  });
});

describe('a zone', () => {
  it('has a distance from UTC, by the season', () => {
    const at = (instant: string, zone: string): string => utcOffset(Date.parse(instant), zone);
    expect(at('2018-02-07T12:00:00Z', 'America/New_York')).toBe('UTC−05:00');
    expect(at('2018-07-07T12:00:00Z', 'America/New_York')).toBe('UTC−04:00');
    expect(at('2018-02-07T12:00:00Z', 'Asia/Kolkata')).toBe('UTC+05:30');
    expect(at('2018-02-07T12:00:00Z', 'UTC')).toBe('UTC');
  });
});
