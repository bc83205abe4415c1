import { createHash } from 'node:crypto';
import { createFileBackend } from './file-backend.ts';
import { createS3Backend, type S3BackendOptions } from './s3-backend.ts';

/** Keyed bytes, whole or not there at all. Keys are relative paths with `/`. */
export type ArtifactBackend = {
  /** Writes a key; `ifAbsent` keeps what is there. */
  write(input: { key: string; bytes: Uint8Array; ifAbsent: boolean }): Promise<void>;
  /** null when the key is not there. */
  read(key: string): Promise<Uint8Array | null>;
  /** Size and time of the last write, or null. */
  stat(key: string): Promise<ArtifactEntry | null>;
  /** Everything whose key starts with the prefix, in order of keys. */
  list(prefix: string): Promise<ArtifactEntry[]>;
  /** Removes a key; one that is not there is fine. */
  delete(key: string): Promise<void>;
};

export type ArtifactEntry = { key: string; bytes: number; modifiedAt: Date };

/** Thrown by `get` when an object is not in the store. */
export class ArtifactMissingError extends Error {
  override name = 'ArtifactMissingError';
}

/** Thrown by `get` when an object's bytes are not those its name says. */
export class ArtifactDamagedError extends Error {
  override name = 'ArtifactDamagedError';
}

export type ArtifactStore = {
  /** The URL it was made from. */
  readonly url: string;
  /** Stores content; the same content is stored once. `hash` is its lower-case sha256. */
  put(bytes: Uint8Array): Promise<{ hash: string; bytes: number }>;
  /** Content by hash, checked. Throws ArtifactMissingError or ArtifactDamagedError. */
  get(hash: string): Promise<Uint8Array>;
  has(hash: string): Promise<boolean>;
  /** A small JSON value under a kind and key, replaced as a whole. */
  putRef(kind: string, key: string, value: unknown): Promise<void>;
  /** The value of a ref, or null. */
  getRef(kind: string, key: string): Promise<unknown>;
  /** A file for people under a fixed name, such as `shap/shap_run_x.json`. */
  putNamed(name: string, bytes: Uint8Array): Promise<void>;
  getNamed(name: string): Promise<Uint8Array | null>;
  /** Entries by prefix: `objects/`, `refs/<kind>/`, `shap/`. */
  list(prefix: string): Promise<ArtifactEntry[]>;
  delete(key: string): Promise<void>;
};

/** Key of a content-addressed object. */
export function objectKey(hash: string): string {
  return `objects/${hash.slice(0, 2)}/${hash}`;
}

/** sha256 in lower-case hex. */
export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The store behind `file:///folder` or `s3://bucket/prefix`. Throws TypeError for any other URL. */
export function createArtifactStore(url: string, options: S3BackendOptions = {}): ArtifactStore {
  const { protocol } = new URL(url);
  if (protocol === 'file:') return storeOn(url, createFileBackend(url));
  if (protocol === 's3:') return storeOn(url, createS3Backend(url, options));
  throw new TypeError(`ARTIFACT_URL must be file:///… or s3://…, not ${protocol}//`);
}

function storeOn(url: string, backend: ArtifactBackend): ArtifactStore {
  return {
    url,
    async put(bytes) {
      const hash = sha256(bytes);
      await backend.write({ key: objectKey(hash), bytes, ifAbsent: true });
      return { hash, bytes: bytes.length };
    },
    async get(hash) {
      const bytes = await backend.read(objectKey(checkedHash(hash)));
      if (bytes === null) throw new ArtifactMissingError(`no object ${hash} in ${url}`);
      const found = sha256(bytes);
      if (found !== hash)
        throw new ArtifactDamagedError(`object ${hash} in ${url} has the content of ${found}`);
      return bytes;
    },
    has: async (hash) => (await backend.stat(objectKey(checkedHash(hash)))) !== null,
    putRef: (kind, key, value) =>
      backend.write({ key: refKey(kind, key), bytes: jsonBytes(value), ifAbsent: false }),
    async getRef(kind, key) {
      const bytes = await backend.read(refKey(kind, key));
      return bytes === null ? null : JSON.parse(new TextDecoder().decode(bytes));
    },
    putNamed: (name, bytes) => backend.write({ key: checkedKey(name), bytes, ifAbsent: false }),
    getNamed: (name) => backend.read(checkedKey(name)),
    list: (prefix) => backend.list(prefix),
    delete: (key) => backend.delete(checkedKey(key)),
  };
}

function refKey(kind: string, key: string): string {
  return checkedKey(`refs/${kind}/${key}.json`);
}

function jsonBytes(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

function checkedHash(hash: string): string {
  if (!/^[0-9a-f]{64}$/.test(hash)) throw new TypeError(`not a sha256: ${hash}`);
  return hash;
}

/** A key must stay inside the store: no absolute path, no `..`, nothing a shell or S3 would read otherwise. */
function checkedKey(key: string): string {
  const parts = key.split('/');
  if (!/^[\w.=+@-]+(\/[\w.=+@-]+)*$/.test(key) || parts.includes('..') || parts.includes('.')) {
    throw new TypeError(`not an artifact key: ${key}`);
  }
  return key;
}
