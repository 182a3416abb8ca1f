import { createHash } from 'node:crypto';
import {
  CreateBucketCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  S3Client,
} from '@aws-sdk/client-s3';
import pLimit from 'p-limit';

/** A bucket as the judge sees it: past Reelay, past its wires. */
export interface JudgesBucket {
  make(): Promise<void>;
  /** Every object, read back whole. */
  walk(): Promise<Map<string, { readonly size: number; readonly checksum: string }>>;
  openUploads(): Promise<string[]>;
  close(): void;
}

const READ_AT_ONCE = 4;

export function judgesBucket(env: Readonly<Record<string, string>>, bucket: string): JudgesBucket {
  const { S3_ENDPOINT_URL: endpoint = '', AWS_ACCESS_KEY_ID = '', AWS_SECRET_ACCESS_KEY = '' } = env;
  const client = new S3Client({
    ...{ endpoint, region: 'us-east-1', forcePathStyle: true },
    credentials: { accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: AWS_SECRET_ACCESS_KEY },
  });

  async function keys(): Promise<string[]> {
    const found: string[] = [];
    let after: string | undefined;
    do {
      const page = await client.send(new ListObjectsV2Command({ Bucket: bucket, StartAfter: after }));
      found.push(...(page.Contents ?? []).flatMap(({ Key }) => Key ?? []));
      after = page.IsTruncated ? found.at(-1) : undefined;
    } while (after !== undefined);
    return found;
  }

  async function read(key: string): Promise<{ size: number; checksum: string }> {
    const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
    const hash = createHash('sha256');
    let size = 0;
    for await (const chunk of Body as AsyncIterable<Buffer>) {
      hash.update(chunk);
      size += chunk.length;
    }
    return { size, checksum: hash.digest('hex') };
  }

  return {
    make: async () => void (await client.send(new CreateBucketCommand({ Bucket: bucket }))),
    async walk() {
      const limit = pLimit(READ_AT_ONCE);
      return new Map(await limit.map(await keys(), async (key) => [key, await read(key)] as const));
    },
    async openUploads() {
      const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
      return Uploads.map(({ Key = '' }) => Key);
    },
    close: () => client.destroy(),
  };
}
