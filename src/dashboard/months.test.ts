import { expect, it } from 'vitest';
import { addMonths, datesOf, dayName, isMonth, monthName } from './months.ts';

it('counts months over the turn of a year, and knows their last day', () => {
  expect([addMonths('2017-12', 1), addMonths('2018-01', -2), addMonths('2018-01', 0)]).toEqual([
    '2018-01',
    '2017-11',
    '2018-01',
  ]);
  expect([datesOf('2018-02'), datesOf('2020-02').to, datesOf('2017-12').to]).toEqual([
    { from: '2018-02-01', to: '2018-02-28' },
    '2020-02-29',
    '2017-12-31',
  ]);
  expect(monthName('2018-02')).toBe('February 2018');
  expect(dayName('2018-02-06')).toBe('Tue 06');
});

it('knows what is no month', () => {
  expect(['2018-02', '2099-12'].every(isMonth)).toBe(true);
  expect(['2018-00', '2018-13', '0000-01', '9999-12', '2018-2', '', '2018-02-01'].some(isMonth)).toBe(false);
});
