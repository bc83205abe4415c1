import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkSymbolsKnown } from '../domain/universe.ts';
import { createArchiveProvider } from './archive/archive-provider.ts';
import { readUniverse, UNIVERSES_FOLDER } from './universe-file.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const bundledFolder = join(ROOT, UNIVERSES_FOLDER);

describe('the bundled universes', () => {
  const archive = createArchiveProvider({ directory: join(ROOT, 'data/sample') });

  it.each([
    ['tiny', 8],
    ['sample', 30],
    ['sp500', 505],
  ])('%s has %i symbols, all in the data', async (name, count) => {
    const universe = await readUniverse({ nameOrFile: name, bundledFolder });
    expect(universe.symbols).toHaveLength(count);
    expect(universe).toMatchObject({ name, survivorship: 'biased' });
    const { symbols } = await archive.coverage();
    checkSymbolsKnown({ source: name, symbols: universe.symbols, known: symbols ?? [] });
  });

  it('spreads sample over all eleven sectors, at least two each', async () => {
    const { symbols } = await readUniverse({ nameOrFile: 'sample', bundledFolder });
    const results = await archive.instruments({ symbols, asOfSession: '2013-02-08' });
    const sectors = new Map<string, number>();
    for (const result of results) {
      if (!result.ok) throw result.error;
      sectors.set(result.value.sector, (sectors.get(result.value.sector) ?? 0) + 1);
    }
    expect(sectors.size).toBe(11);
    expect(Math.min(...sectors.values())).toBeGreaterThanOrEqual(2);
  });
});

describe('a universe from a file', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'nightshift-universe-'));
  });
  afterAll(async () => rm(folder, { recursive: true, force: true }));

  it('is read by path', async () => {
    const file = join(folder, 'banks.txt');
    await writeFile(file, 'JPM BAC\nC\n');
    expect(await readUniverse({ nameOrFile: file, bundledFolder })).toMatchObject({
      name: 'banks',
      symbols: ['BAC', 'C', 'JPM'],
    });
  });

  it('says what to do when there is no such file, or the name is taken', async () => {
    await expect(readUniverse({ nameOrFile: 'sp50', bundledFolder })).rejects.toThrow(
      /cannot read sp50 \(ENOENT\); a universe is tiny, sample, sp500 or a file/,
    );
    const file = join(folder, 'sample.txt');
    await writeFile(file, 'JPM\n');
    await expect(readUniverse({ nameOrFile: file, bundledFolder })).rejects.toThrow(/belongs to a bundled/);
  });
});
