import { describe, expect, it, vi } from 'vitest';
import { main } from '../../src/cli/main.ts';

describe('the command line of decisions', () => {
  const run = async (...args: string[]): Promise<{ code: unknown; words: string }> => {
    const said: string[] = [];
    const log = vi.spyOn(console, 'error').mockImplementation((text: string) => void said.push(text));
    const write = vi.spyOn(process.stderr, 'write').mockImplementation((text) => said.push(String(text)) > 0);
    try {
      await main(['node', 'nightshift', ...args]);
      return { code: process.exitCode, words: said.join('\n') };
    } finally {
      log.mockRestore();
      write.mockRestore();
      process.exitCode = undefined;
    }
  };
  const who = ['--by', 'Ann', '--why', 'x', '--data-dir', '/tmp/nightshift-nothing-here'];

  it.each([
    [
      ['quarantine', 'release', 'SG', '2018-01-30', '--by', 'Ann'],
      "required option '--why <text>' not specified",
    ],
    [
      ['quarantine', 'reject', 'SG', '2018-01-30', '--why', 'x'],
      "required option '--by <name>' not specified",
    ],
    [['quarantine', 'reject', 'SG', '2018-13-01', ...who], 'session: 2018-13-01 is not a date'],
    [['quarantine', 'release', 'SG', '2018-01-30', '--row', '0', ...who], '--row: 0 is not a whole number'],
    [['quarantine', 'list', '--status', 'open'], 'Allowed choices are pending, released, rejected, all'],
    [['calendar', 'override', '2018-12-05', ...who], 'give either --closed, or --open'],
    [['calendar', 'override', '2018-12-05', '--closed', '--close', '13:00', ...who], 'give either --closed'],
    [['calendar', 'remove', 'yesterday', ...who], 'session: yesterday is not a date'],
    [['calendar', 'remove', '2018-12-05', ...who], 'nothing runs on '],
  ])('%j ends with code 2: %s', async (args, words) => {
    const ended = await run(...args);
    expect(ended.words).toContain(words);
    expect(ended.code).toBe(2);
  });
});
