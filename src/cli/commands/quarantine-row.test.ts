import { describe, expect, it } from 'vitest';
import { UsageError } from '../exit-codes.ts';
import { chooseRow } from './quarantine-row.ts';

const row = (subject: string, provider = 'first', sessionDate = '2018-01-30') => ({
  subject,
  provider,
  sessionDate,
});
const asked = { symbol: 'SG', sessionDate: '2018-01-30' };

describe('the row a person means', () => {
  const rows = [row('bar'), row('bar', 'second'), row('split 2:1'), row('gap', 'first', '2018-01-29')];

  it('is the one that fits', () => {
    expect(chooseRow([row('bar')], asked)).toEqual(row('bar'));
    expect(chooseRow(rows, { ...asked, subject: 'split 2:1' })).toEqual(row('split 2:1'));
    expect(chooseRow(rows, { ...asked, subject: 'bar', provider: 'second' })).toEqual(row('bar', 'second'));
    expect(chooseRow(rows, { ...asked, sessionDate: '2018-01-29' })).toMatchObject({ subject: 'gap' });
  });

  it.each([
    [{}, '--subject: bar, split 2:1 are there, name one'],
    [{ subject: 'bar' }, '--provider: rows of first, second are there, name one'],
    [{ subject: 'gap' }, 'symbol: no quarantined row SG 2018-01-30'],
    [{ provider: 'third' }, 'symbol: no quarantined row SG 2018-01-30'],
  ])('%o is not enough: %s', (part, words) => {
    expect(() => chooseRow(rows, { ...asked, ...part })).toThrow(UsageError);
    expect(() => chooseRow(rows, { ...asked, ...part })).toThrow(words);
  });
});
