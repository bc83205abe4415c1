import type * as Aws from '@aws-sdk/client-s3';
import type { ArtifactBackend, ArtifactEntry } from './store.ts';

export type S3BackendOptions = {
  /** Endpoint of an S3-compatible server; default: AWS, or AWS_ENDPOINT_URL_S3 (read by the library). */
  endpoint?: string;
  region?: string;
  credentials?: { accessKeyId: string; secretAccessKey: string };
};

type Connection = { aws: typeof Aws; client: Aws.S3Client };

/** The library takes a quarter of a second to load, so that only those who use S3 load it. */
async function connect(options: S3BackendOptions): Promise<Connection> {
  const aws = await import('@aws-sdk/client-s3');
  const client = new aws.S3Client({
    ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint }),
    ...(options.region === undefined ? {} : { region: options.region }),
    ...(options.credentials === undefined ? {} : { credentials: options.credentials }),
    // Compatible servers seldom know bucket names as host names.
    forcePathStyle: true,
    maxAttempts: 5,
  });
  return { aws, client };
}

/** A store in a bucket, under a prefix. An S3 write is atomic by itself: readers see old or new. */
export function createS3Backend(url: string, options: S3BackendOptions): ArtifactBackend {
  const { hostname: bucket, pathname } = new URL(url);
  const prefix = pathname.replace(/^\/|\/$/g, '');
  const keyOf = (key: string): string => (prefix === '' ? key : `${prefix}/${key}`);
  let connection: Promise<Connection> | undefined;
  const open = (): Promise<Connection> => (connection ??= connect(options));

  const head = async (key: string): Promise<ArtifactEntry | null> => {
    const { aws, client } = await open();
    try {
      const found = await client.send(new aws.HeadObjectCommand({ Bucket: bucket, Key: keyOf(key) }));
      return { key, bytes: found.ContentLength ?? 0, modifiedAt: found.LastModified ?? new Date(0) };
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
  };
  return {
    async write({ key, bytes, ifAbsent }) {
      if (ifAbsent && (await head(key)) !== null) return;
      const { aws, client } = await open();
      await client.send(new aws.PutObjectCommand({ Bucket: bucket, Key: keyOf(key), Body: bytes }));
    },
    async read(key) {
      const { aws, client } = await open();
      try {
        const { Body } = await client.send(new aws.GetObjectCommand({ Bucket: bucket, Key: keyOf(key) }));
        return Body === undefined ? null : await Body.transformToByteArray();
      } catch (error) {
        if (isMissing(error)) return null;
        throw error;
      }
    },
    stat: head,
    async list(wanted) {
      const { aws, client } = await open();
      const entries: ArtifactEntry[] = [];
      const query = { Bucket: bucket, Prefix: keyOf(wanted) };
      for await (const page of aws.paginateListObjectsV2({ client }, query)) {
        for (const { Key, Size, LastModified } of page.Contents ?? []) {
          if (Key === undefined) continue;
          const key = prefix === '' ? Key : Key.slice(prefix.length + 1);
          entries.push({ key, bytes: Size ?? 0, modifiedAt: LastModified ?? new Date(0) });
        }
      }
      return entries.sort((a, b) => (a.key < b.key ? -1 : 1));
    },
    async delete(key) {
      const { aws, client } = await open();
      await client.send(new aws.DeleteObjectCommand({ Bucket: bucket, Key: keyOf(key) }));
    },
  };
}

/** A missing bucket is a mistake of the set-up and stays an error. */
function isMissing(error: unknown): boolean {
  return error instanceof Error && (error.name === 'NoSuchKey' || error.name === 'NotFound');
}
