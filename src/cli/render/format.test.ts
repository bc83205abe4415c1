import { describe, expect, it } from 'vitest';
import { formatBytes, formatDuration, formatNumber, formatTable } from './format.ts';

describe('formatDuration', () => {
  it.each([
    [null, '–'],
    [0, '0 ms'],
    [999, '999 ms'],
    [1000, '1.0 s'],
    [59_940, '59.9 s'],
    [60_000, '1 min 00 s'],
    [185_400, '3 min 05 s'],
  ])('%s ms reads %s', (durationMs, text) => {
    expect(formatDuration(durationMs)).toBe(text);
  });
});

describe('formatBytes', () => {
  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [1_503_238_553, '1.4 GiB'],
  ])('%s bytes reads %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });
});

describe('formatNumber', () => {
  it('shows a dash for what could not be computed', () => {
    expect([null, undefined, Number.NaN].map((value) => formatNumber(value))).toEqual(['–', '–', '–']);
    expect(formatNumber(0.51234)).toBe('0.5123');
  });
});

describe('formatTable', () => {
  it('aligns columns by their widest cell and leaves no trailing blanks', () => {
    expect(
      formatTable(
        [
          ['a', '1', ''],
          ['long', '100', 'x'],
        ],
        [1],
      ),
    ).toEqual(['a       1', 'long  100  x']);
  });
});
