import { type ChildProcess, spawn } from 'node:child_process';
import { CreateBucketCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { venvPython } from '../../scripts/lib/paths.mjs';
import {
  ArtifactMissingError,
  type ArtifactStore,
  createArtifactStore,
  objectKey,
} from '../../src/artifacts/store.ts';
import { chooseFreePorts } from '../../src/runtime/ports.ts';

const connection = { region: 'us-east-1', credentials: { accessKeyId: 'test', secretAccessKey: 'test' } };
let server: ChildProcess;
let ended: Promise<void>;
let endpoint: string;
let client: S3Client;
/** Keys the server lists in one answer. Amazon's 1,000 are as many requests to fill. */
const PAGE_KEYS = 50;
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A local S3 server (moto, from the test dependencies of ml/). */
beforeAll(async () => {
  const [port = 0] = await chooseFreePorts(1);
  endpoint = `http://127.0.0.1:${port}`;
  client = new S3Client({ ...connection, endpoint, forcePathStyle: true });
  server = spawn(venvPython(), ['-m', 'moto.server', '-H', '127.0.0.1', '-p', String(port)], {
    stdio: 'ignore',
    env: { ...process.env, MOTO_S3_DEFAULT_MAX_KEYS: String(PAGE_KEYS) },
  });
  ended = new Promise((resolve) => server.once('exit', () => resolve()));
  await Promise.race([
    vi.waitFor(() => fetch(endpoint), { timeout: 60_000, interval: 100 }),
    ended.then(() => Promise.reject(new Error('the S3 server ended'))),
  ]);
  await client.send(new CreateBucketCommand({ Bucket: 'nights' }));
}, 90_000);

afterAll(async () => {
  client.destroy();
  server.kill();
  await ended;
});

const open = (url: string): ArtifactStore => createArtifactStore(url, { ...connection, endpoint });

describe('artifact store on S3', () => {
  it('stores, reads, lists and deletes like the folder form', async () => {
    const store = open('s3://nights/desk/one');
    const { hash } = await store.put(bytes('abc'));
    expect(hash).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
    expect(Buffer.from(await store.get(hash)).toString()).toBe('abc');
    expect(await store.has(hash)).toBe(true);
    expect(await store.has('0'.repeat(64))).toBe(false);
    await expect(store.get('0'.repeat(64))).rejects.toThrow(ArtifactMissingError);
    await store.putRef('folds', 'k', { modelHash: 'a' });
    expect(await store.getRef('folds', 'k')).toEqual({ modelHash: 'a' });
    expect(await store.getRef('folds', 'none')).toBeNull();
    await store.putNamed('shap/shap_run_1.json', bytes('{}'));
    expect((await store.list('')).map(({ key }) => key)).toEqual([
      `objects/ba/${hash}`,
      'refs/folds/k.json',
      'shap/shap_run_1.json',
    ]);
    await store.delete('shap/shap_run_1.json');
    expect(await store.getNamed('shap/shap_run_1.json')).toBeNull();
  });

  it('does not write an object that is there', async () => {
    const store = open('s3://nights/desk/two');
    const { hash } = await store.put(bytes('same'));
    // Other bytes under its key: a second write would bring the right ones back.
    const Key = `desk/two/${objectKey(hash)}`;
    await client.send(new PutObjectCommand({ Bucket: 'nights', Key, Body: 'marked' }));
    const before = await store.list('objects/');
    expect(before).toHaveLength(1);
    await store.put(bytes('same'));
    expect(await store.list('objects/')).toEqual(before);
    expect(Buffer.from((await store.getNamed(objectKey(hash))) ?? []).toString()).toBe('marked');
  });

  it('keeps prefixes of one bucket apart and lists past one page', async () => {
    const store = open('s3://nights/many');
    const count = 2 * PAGE_KEYS + 5;
    await Promise.all(Array.from({ length: count }, (_, index) => store.putRef('n', String(index), index)));
    const query = new ListObjectsV2Command({ Bucket: 'nights', Prefix: 'many/refs/n/' });
    expect(await client.send(query)).toMatchObject({ KeyCount: PAGE_KEYS, IsTruncated: true });
    expect(new Set((await store.list('refs/n/')).map(({ key }) => key)).size).toBe(count);
    expect(await store.list('refs/n/')).toHaveLength(count);
    expect(await open('s3://nights/man').list('')).toEqual([]);
  });

  it('says so when the bucket is missing', async () => {
    await expect(open('s3://nowhere/x').put(bytes('a'))).rejects.toThrow();
    await expect(open('s3://nowhere/x').getRef('a', 'b')).rejects.toThrow();
  });
});
