import { createHash } from 'node:crypto';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { writeArchiveFolder } from '../../../tests/support/archive-folder.ts';
import { createRng } from '../../domain/statistics/rng.ts';
import { ProviderError } from '../errors.ts';
import { createArchiveProvider } from './archive-provider.ts';

const FILES = ['bars.parquet', 'instruments.csv', 'splits.csv', 'dividends.csv'] as const;
const ALL = { from: '2018-01-02', to: '2018-01-05', asOfSession: '2018-01-05' };
const ROUNDS = 60;

let root: string;
let sound: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'nightshift-fuzz-'));
  sound = join(root, 'sound');
  const row = (date: string, close: number) => ({
    date,
    open: close,
    high: close + 1,
    low: close - 1,
    close,
    volume: 1_000,
  });
  await writeArchiveFolder({
    directory: sound,
    dataset: 'fuzzed',
    symbols: {
      AA: ['2018-01-02', '2018-01-03', '2018-01-04', '2018-01-05'].map((date, i) => row(date, 20 + i)),
      BB: ['2018-01-03', '2018-01-05'].map((date, i) => row(date, 30 + i)),
    },
    splits: 'symbol,ex_date,new_shares,old_shares\nAA,2018-01-04,1,2\n',
    dividends: 'symbol,ex_date,cash_amount\nBB,2018-01-05,0.5\n',
  });
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** Cut off, one byte changed, or a piece doubled; never the same bytes. */
function damage(bytes: Buffer, random: () => number): Buffer {
  const at = Math.floor(random() * bytes.length);
  const kind = Math.floor(random() * 3);
  if (kind === 0) return bytes.subarray(0, at);
  if (kind === 1) {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] ?? 0) ^ (1 + Math.floor(random() * 255));
    return changed;
  }
  return Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.floor(at / 2))]);
}

/** Damages a file; with `sealed` the manifest is told, so that the parser itself meets the damage. */
async function damagedFolder(name: string, file: string, random: () => number, sealed: boolean) {
  const directory = join(root, name);
  await cp(sound, directory, { recursive: true });
  const content = damage(await readFile(join(sound, file)), random);
  await writeFile(join(directory, file), content);
  if (sealed) {
    const path = join(directory, 'manifest.json');
    const manifest = JSON.parse(await readFile(path, 'utf8'));
    manifest.files[file].bytes = content.byteLength;
    manifest.files[file].sha256 = createHash('sha256').update(content).digest('hex');
    await writeFile(path, JSON.stringify(manifest));
  }
  return directory;
}

/** Everything the port can ask; each answer is sound, or a failure with a class. */
async function outcome(directory: string): Promise<'answered' | 'refused'> {
  const provider = createArchiveProvider({ directory });
  const symbols = ['AA', 'BB', 'NOPE'];
  const asks = [
    async () => {
      for (const result of await provider.bars({ symbols, ...ALL })) {
        if (!result.ok) {
          expect(result.error).toBeInstanceOf(ProviderError);
          continue;
        }
        const { bars } = result.value;
        const lengths = new Set(
          [bars.open, bars.high, bars.low, bars.close, bars.volume].map((c) => c.length),
        );
        expect(lengths).toEqual(new Set([bars.epochDays.length]));
        expect([...bars.epochDays].every((day) => day >= 17_533 && day <= 17_536)).toBe(true);
      }
    },
    () => provider.coverage(),
    () => provider.corporateActions({ symbols, ...ALL }),
    () => provider.fundamentals({ symbols, asOfSession: ALL.asOfSession }),
    () => provider.instruments({ symbols, asOfSession: ALL.asOfSession }),
  ];
  let refused = 0;
  for (const ask of asks) {
    try {
      await ask();
    } catch (error) {
      expect(error).toBeInstanceOf(ProviderError);
      refused += 1;
    }
  }
  return refused > 0 ? 'refused' : 'answered';
}

it('the sound folder answers', async () => {
  expect(await outcome(sound)).toBe('answered');
});

it.each(FILES)(
  '%s: damage the manifest knows of ends in a classed failure or a sound answer',
  async (file) => {
    const rng = createRng(20_180_207 + FILES.indexOf(file));
    for (let round = 0; round < ROUNDS; round += 1) {
      await outcome(await damagedFolder(`${file}-${round}`, file, () => rng.uniform(), true));
    }
  },
);

it('a damaged manifest is refused or read soundly, and a file that is not as the manifest says is refused', async () => {
  const rng = createRng(7);
  for (let round = 0; round < ROUNDS; round += 1) {
    await outcome(await damagedFolder(`manifest-${round}`, 'manifest.json', () => rng.uniform(), false));
    const file = FILES[round % FILES.length] ?? 'bars.parquet';
    const directory = await damagedFolder(`unsealed-${round}`, file, () => rng.uniform(), false);
    expect(await outcome(directory), `${file} ${round}`).toBe('refused');
  }
});
