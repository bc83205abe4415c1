import { describe, expect, it } from 'vitest';
import { folderOption } from './folder-option.ts';

describe('folderOption', () => {
  it.each([
    [undefined, ''],
    ['/srv/night-1', ' --data-dir /srv/night-1'],
    ["/srv/Ann's nights", String.raw` --data-dir '/srv/Ann'\''s nights'`],
  ])('%s: "%s"', (dataDir, option) => {
    expect(folderOption(dataDir)).toBe(option);
  });
});
