import { type ChildProcess, spawn } from 'node:child_process';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { venvPython } from '../../scripts/lib/paths.mjs';
import { ArtifactMissingError, type ArtifactStore, createArtifactStore } from '../../src/artifacts/store.ts';
import { chooseFreePorts } from '../../src/runtime/ports.ts';

const connection = { region: 'us-east-1', credentials: { accessKeyId: 'test', secretAccessKey: 'test' } };
let server: ChildProcess;
let endpoint: string;
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A local S3 server (moto, from the test dependencies of ml/). */
beforeAll(async () => {
  const [port = 0] = await chooseFreePorts(1);
  endpoint = `http://127.0.0.1:${port}`;
  server = spawn(venvPython(), ['-m', 'moto.server', '-H', '127.0.0.1', '-p', String(port)], {
    stdio: 'ignore',
  });
  await vi.waitFor(() => fetch(endpoint), { timeout: 60_000, interval: 100 });
  const client = new S3Client({ ...connection, endpoint, forcePathStyle: true });
  await client.send(new CreateBucketCommand({ Bucket: 'nights' }));
  client.destroy();
}, 90_000);

afterAll(async () => {
  const ended = new Promise((resolve) => server.once('exit', resolve));
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
    await store.put(bytes('same'));
    const [first] = await store.list('objects/');
    await new Promise((resolve) => setTimeout(resolve, 1100));
    await store.put(bytes('same'));
    expect(await store.list('objects/')).toEqual([first]);
  });

  it('keeps prefixes of one bucket apart and lists past one page', async () => {
    const store = open('s3://nights/many');
    await Promise.all(Array.from({ length: 1005 }, (_, index) => store.putRef('n', String(index), index)));
    expect(await store.list('refs/n/')).toHaveLength(1005);
    expect(await open('s3://nights/man').list('')).toEqual([]);
  });

  it('says so when the bucket is missing', async () => {
    await expect(open('s3://nowhere/x').put(bytes('a'))).rejects.toThrow();
    await expect(open('s3://nowhere/x').getRef('a', 'b')).rejects.toThrow();
  });
});
