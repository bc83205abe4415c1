import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import type { ArtifactBackend, ArtifactEntry } from './store.ts';

export type S3BackendOptions = {
  /** Endpoint of an S3-compatible server; default: AWS, or AWS_ENDPOINT_URL_S3 (read by the library). */
  endpoint?: string;
  region?: string;
  credentials?: { accessKeyId: string; secretAccessKey: string };
};

/** A store in a bucket, under a prefix. An S3 write is atomic by itself: readers see old or new. */
export function createS3Backend(url: string, options: S3BackendOptions): ArtifactBackend {
  const { hostname: bucket, pathname } = new URL(url);
  const prefix = pathname.replace(/^\/|\/$/g, '');
  const client = new S3Client({
    ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint }),
    ...(options.region === undefined ? {} : { region: options.region }),
    ...(options.credentials === undefined ? {} : { credentials: options.credentials }),
    // Compatible servers seldom know bucket names as host names.
    forcePathStyle: true,
    maxAttempts: 5,
  });
  const keyOf = (key: string): string => (prefix === '' ? key : `${prefix}/${key}`);
  const ours = (key: string): string => (prefix === '' ? key : key.slice(prefix.length + 1));

  const head = async (key: string): Promise<ArtifactEntry | null> => {
    try {
      const found = await client.send(new HeadObjectCommand({ Bucket: bucket, Key: keyOf(key) }));
      return { key, bytes: found.ContentLength ?? 0, modifiedAt: found.LastModified ?? new Date(0) };
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
  };
  return {
    async write({ key, bytes, ifAbsent }) {
      if (ifAbsent && (await head(key)) !== null) return;
      await client.send(new PutObjectCommand({ Bucket: bucket, Key: keyOf(key), Body: bytes }));
    },
    async read(key) {
      try {
        const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: keyOf(key) }));
        return Body === undefined ? null : await Body.transformToByteArray();
      } catch (error) {
        if (isMissing(error)) return null;
        throw error;
      }
    },
    stat: head,
    async list(wanted) {
      const entries: ArtifactEntry[] = [];
      let token: string | undefined;
      do {
        const page = await client.send(
          new ListObjectsV2Command({
            Bucket: bucket,
            Prefix: keyOf(wanted),
            ...(token === undefined ? {} : { ContinuationToken: token }),
          }),
        );
        for (const { Key, Size, LastModified } of page.Contents ?? []) {
          if (Key !== undefined)
            entries.push({ key: ours(Key), bytes: Size ?? 0, modifiedAt: LastModified ?? new Date(0) });
        }
        token = page.NextContinuationToken;
      } while (token !== undefined);
      return entries.sort((a, b) => (a.key < b.key ? -1 : 1));
    },
    async delete(key) {
      await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: keyOf(key) }));
    },
  };
}

/** A missing bucket is a mistake of the set-up and stays an error. */
function isMissing(error: unknown): boolean {
  return error instanceof Error && (error.name === 'NoSuchKey' || error.name === 'NotFound');
}
