import { describe, expect, it } from 'vitest';
import { pageEndOf, pageOf } from './pages.ts';
import { Problem } from './problems.ts';

const rows = [1, 2, 3].map((id) => ({ id: String(id), at: `2018-02-07T12:00:00.00000${id}Z` }));
const endOf = (row: { id: string; at: string }) => row;

describe('a page', () => {
  it('has a token while there is more, which leads to its end, to the microsecond', () => {
    const page = pageOf(rows, 2, endOf);
    expect(page.items).toEqual(rows.slice(0, 2));
    expect(pageEndOf(page.nextPageToken ?? undefined)).toEqual(rows[1]);
    expect(pageOf(rows.slice(0, 2), 2, endOf).nextPageToken).toBeNull();
    expect(pageOf([], 2, endOf)).toEqual({ items: [], nextPageToken: null });
    expect(pageEndOf(undefined)).toBeNull();
  });

  it.each([
    '',
    'zzz',
    Buffer.from('["soon","x"]').toString('base64url'),
    Buffer.from('{}').toString('base64url'),
  ])('is refused for the token %j', (token) => {
    expect(() => pageEndOf(token)).toThrow(Problem);
  });
});
