import { describe, expect, it } from 'vitest';
import { parseCsv } from './csv.ts';

describe('parseCsv', () => {
  it('reads wanted columns in any order, quotes and carriage returns', () => {
    const text = 'b,a,c\r\n"x, ""y""",1,\r\n\r\nz,2,3\r\n';
    expect(parseCsv(text, ['a', 'b'])).toEqual([
      { a: '1', b: 'x, "y"' },
      { a: '2', b: 'z' },
    ]);
  });

  it.each([
    ['a,b\n1\n', /line 2 has 1 cells instead of 2/],
    ['a,c\n1,2\n', /column b is missing \(there are a, c\)/],
    ['a,b\n"1,2\n', /quote never closed/],
    ['', /column a is missing/],
  ])('refuses %j', (text, message) => {
    expect(() => parseCsv(text, ['a', 'b'])).toThrow(message);
  });
});
