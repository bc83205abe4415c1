import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  ArtifactDamagedError,
  ArtifactMissingError,
  createArtifactStore,
  objectKey,
  sha256,
} from './store.ts';

let folder: string;
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

beforeEach(async () => {
  // A blank and a letter that URLs must escape.
  folder = await mkdtemp(join(tmpdir(), 'nightshift artifacts ü-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const open = () => createArtifactStore(pathToFileURL(folder).href);

describe('artifact store in a folder', () => {
  it('names content by its sha256 and keeps it once', async () => {
    const store = open();
    const stored = await store.put(bytes('abc'));
    expect(stored).toEqual({
      hash: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
      bytes: 3,
    });
    const path = join(folder, objectKey(stored.hash));
    const before = await stat(path);
    await store.put(bytes('abc'));
    const after = await stat(path);
    expect(after.ino).toBe(before.ino);
    expect(after.mtimeMs).toBe(before.mtimeMs);
    expect(Buffer.from(await store.get(stored.hash)).toString()).toBe('abc');
  });

  it('keeps one whole object when many write it at once', async () => {
    const store = open();
    const content = bytes('x'.repeat(200_000));
    await Promise.all(Array.from({ length: 20 }, () => store.put(content)));
    expect(await store.get(sha256(content))).toHaveLength(200_000);
    expect(await store.list('objects/')).toHaveLength(1);
    expect(await readdir(join(folder, 'objects', sha256(content).slice(0, 2)))).toEqual([sha256(content)]);
  });

  it('says what is missing and what is damaged', async () => {
    const store = open();
    await expect(store.get('0'.repeat(64))).rejects.toThrow(ArtifactMissingError);
    const { hash } = await store.put(bytes('abc'));
    await writeFile(join(folder, objectKey(hash)), 'abd');
    await expect(store.get(hash)).rejects.toThrow(ArtifactDamagedError);
    expect(await store.has(hash)).toBe(true);
    expect(await store.has('0'.repeat(64))).toBe(false);
  });

  it('replaces refs and named files as a whole', async () => {
    const store = open();
    expect(await store.getRef('folds', 'k1')).toBeNull();
    await store.putRef('folds', 'k1', { modelHash: 'a' });
    await store.putRef('folds', 'k1', { modelHash: 'b' });
    expect(await store.getRef('folds', 'k1')).toEqual({ modelHash: 'b' });
    await store.putNamed('shap/shap_run_1.json', bytes('{}'));
    expect(Buffer.from((await store.getNamed('shap/shap_run_1.json')) ?? []).toString()).toBe('{}');
    expect(await store.getNamed('shap/other.json')).toBeNull();
  });

  it('lists by prefix and deletes', async () => {
    const store = open();
    await store.putRef('folds', 'a', 1);
    await store.putRef('folds', 'b', 2);
    await store.putRef('foldPredictions', 'c', 3);
    expect((await store.list('refs/folds/')).map(({ key }) => key)).toEqual([
      'refs/folds/a.json',
      'refs/folds/b.json',
    ]);
    expect(await store.list('refs/fold')).toHaveLength(3);
    expect(await store.list('nothing/')).toEqual([]);
    await store.delete('refs/folds/a.json');
    await store.delete('refs/folds/a.json');
    expect(await store.list('refs/folds/')).toHaveLength(1);
  });

  it.each(['../secret', '/etc/passwd', 'a/../../b', 'a//b', 'refs/./x', ''])(
    'refuses the key "%s"',
    async (key) => {
      const store = open();
      expect(() => store.delete(key)).toThrow(TypeError);
      expect(() => store.putNamed(key, bytes('x'))).toThrow(TypeError);
    },
  );

  it('refuses other kinds of URL', () => {
    expect(() => createArtifactStore('https://example.org/x')).toThrow('file:///… or s3://…');
  });
});
