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

const noLimit = (): Promise<void> => Promise.resolve();

afterEach(() => void vi.useRealTimers());

describe('a token', () => {
  it('is asked for once within its age, and a revoked one stops working after it', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    let stored = row;
    const find = vi.fn(() => Promise.resolve(stored));
    const tokens = new TokenReader(find, 2_000);
    const bob = { tokenId, name: 'Bob', role: 'operator' };
    expect(await tokens.callerOf(text, noLimit)).toEqual(bob);
    stored = { ...row, revokedAt: '2018-02-07T13:00:00.000Z', revokedBy: 'Ann' };
    vi.advanceTimersByTime(1_999);
    expect(await tokens.callerOf(text, noLimit)).toEqual(bob);
    expect(find).toHaveBeenCalledTimes(1);
    vi.advanceTimersByTime(1);
    expect(await tokens.callerOf(text, noLimit)).toBeNull();
    expect(find).toHaveBeenCalledTimes(2);
  });

  it('is nobody’s with another secret, when it is not known, and in another form, which is not even looked up', async () => {
    const find = vi.fn(() => Promise.resolve<ApiTokenRow | null>(row));
    const tokens = new TokenReader(find, 2_000);
    const guess = newApiToken().text.replace(/_[0-9a-f]+_/, `_${tokenId}_`);
    expect(await tokens.callerOf(guess, noLimit)).toBeNull();
    expect(await new TokenReader(() => Promise.resolve(null), 2_000).callerOf(text, noLimit)).toBeNull();
    find.mockClear();
    for (const other of ['', 'hello', `${text}x`, ` ${text}`, text.replace('nst_', 'NST_')])
      expect(await tokens.callerOf(other, noLimit)).toBeNull();
    expect(find).not.toHaveBeenCalled();
  });

  it('that was never seen is counted before it is looked up, one that was only where it is wrong', async () => {
    const find = vi.fn((id: string) => Promise.resolve(id === tokenId ? row : null));
    const tokens = new TokenReader(find, 2_000);
    const count = vi.fn(noLimit);
    expect(await tokens.callerOf(text, count)).not.toBeNull();
    expect(count).toHaveBeenCalledTimes(1);
    expect(await tokens.callerOf(text, count)).not.toBeNull();
    expect(count).toHaveBeenCalledTimes(1);
    for (const wrong of [
      newApiToken().text.replace(/_[0-9a-f]+_/, `_${tokenId}_`),
      newApiToken().text,
      'x',
    ]) {
      count.mockClear();
      expect(await tokens.callerOf(wrong, count)).toBeNull();
      expect(count).toHaveBeenCalledTimes(1);
    }
    find.mockClear();
    const tooMany = (): Promise<never> => Promise.reject(new Error('too many'));
    await expect(tokens.callerOf(newApiToken().text, tooMany)).rejects.toThrow('too many');
    expect(find).not.toHaveBeenCalled();
    expect(await tokens.callerOf(text, tooMany)).not.toBeNull();
  });

  it('stays known however many others are guessed', async () => {
    const find = vi.fn((id: string) => Promise.resolve(id === tokenId ? row : null));
    const tokens = new TokenReader(find, 60_000);
    await tokens.callerOf(text, noLimit);
    for (let guess = 0; guess < 1_100; guess += 1) await tokens.callerOf(newApiToken().text, noLimit);
    find.mockClear();
    expect(await tokens.callerOf(text, noLimit)).not.toBeNull();
    expect(find).not.toHaveBeenCalled();
  });
});
