import { afterEach, describe, expect, it, vi } from 'vitest';
import { newApiToken } from '../contracts/api-tokens.ts';
import type { ApiTokenRow } from '../db/queries/api-tokens.ts';
import { TokenReader } from './auth.ts';

const { tokenId, secretHash, text } = newApiToken();
const row: ApiTokenRow = {
  tokenId,
  secretHash,
  name: 'Bob',
  role: 'operator',
  createdBy: 'Ann',
  recordedAt: '2018-02-07T12:00:00.000Z',
  revokedAt: null,
  revokedBy: null,
};

afterEach(() => void vi.useRealTimers());

describe('a token', () => {
  it('is asked for once within its age, and a revoked one stops working after it', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    let stored = row;
    const find = vi.fn(() => Promise.resolve(stored));
    const tokens = new TokenReader(find, 2_000);
    const bob = { tokenId, name: 'Bob', role: 'operator' };
    expect(await tokens.callerOf(text)).toEqual(bob);
    stored = { ...row, revokedAt: '2018-02-07T13:00:00.000Z', revokedBy: 'Ann' };
    vi.advanceTimersByTime(1_999);
    expect(await tokens.callerOf(text)).toEqual(bob);
    expect(find).toHaveBeenCalledTimes(1);
    vi.advanceTimersByTime(1);
    expect(await tokens.callerOf(text)).toBeNull();
    expect(find).toHaveBeenCalledTimes(2);
  });

  it('is nobody’s with another secret, when it is not known, and in another form, which is not even looked up', async () => {
    const find = vi.fn(() => Promise.resolve<ApiTokenRow | null>(row));
    const tokens = new TokenReader(find, 2_000);
    expect(await tokens.callerOf(newApiToken().text.replace(/_[0-9a-f]+_/, `_${tokenId}_`))).toBeNull();
    expect(await new TokenReader(() => Promise.resolve(null), 2_000).callerOf(text)).toBeNull();
    find.mockClear();
    for (const other of ['', 'hello', `${text}x`, ` ${text}`, text.replace('nst_', 'NST_')])
      expect(await tokens.callerOf(other)).toBeNull();
    expect(find).not.toHaveBeenCalled();
  });
});
