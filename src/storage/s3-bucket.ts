import {
  HeadObjectCommand,
  type HeadObjectCommandOutput,
  S3Client,
  type ServerSideEncryption,
} from '@aws-sdk/client-s3';
import { create as contentDisposition } from 'content-disposition';
import type { StoreConfig } from '#config';
import { toStoreError } from './s3-errors.ts';
import type { PutOptions } from './store.ts';

export type S3Config = Extract<StoreConfig, { kind: 's3' }>;

/** A bucket and the client that speaks to it. */
export interface Bucket {
  readonly client: S3Client;
  readonly name: string;
  readonly config: S3Config;
  readonly limits: S3Limits;
  /** SHA-256 of bodies about to be sent, so that the SDK need not hash them again to sign them. */
  readonly digests: WeakMap<Buffer, Buffer>;
}

/** Sizes in bytes; tests make them small. */
export interface S3Limits {
  /** Bytes of a part, and the most that is put whole. Grows where `parts` of them would not do. */
  readonly partSize: number;
  /** The most parts that an upload takes. */
  readonly parts: number;
  /** The most that one CopyObject takes. */
  readonly copySize: number;
  /** Bytes of a part of a larger copy. */
  readonly copyPartSize: number;
}

/** Name of the metadata that carries the SHA-256 known when the put began, for stores that keep none themselves. */
const SHA256_METADATA = 'sha256';

const CONNECT_MS = 3_000;
const IDLE_MS = 60_000;

/** Opens the bucket; nothing is sent yet. Credentials come from where the AWS SDK finds them. */
export function openBucket(config: S3Config, limits: S3Limits): Bucket {
  const client = new S3Client({
    region: config.region,
    forcePathStyle: config.forcePathStyle,
    ...(config.endpoint === undefined ? {} : { endpoint: config.endpoint }),
    // Older stores know neither streamed trailers nor CRCs; the checksums sent are our own.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: { connectionTimeout: CONNECT_MS, socketTimeout: IDLE_MS },
  });
  const digests = new WeakMap<Buffer, Buffer>();
  client.middlewareStack.add(
    (next) => (args) => {
      const body = 'Body' in args.input ? args.input.Body : undefined;
      const digest = Buffer.isBuffer(body) ? digests.get(body) : undefined;
      const { headers } = args.request as { headers: Record<string, string> };
      if (digest) headers['x-amz-content-sha256'] = digest.toString('hex');
      return next(args);
    },
    { step: 'build', name: 'signKnownDigest' },
  );
  return { client, name: config.bucket, config, limits, digests };
}

/** Headers kept with an object, as the SDK names them. */
export interface ObjectHeaders {
  ContentType: string;
  ContentDisposition?: string;
  Metadata: Record<string, string>;
  ServerSideEncryption?: ServerSideEncryption;
  SSEKMSKeyId?: string;
}

/** The headers of an object: type, file name (in any script, RFC 8187), metadata, and the encryption asked for. */
export function objectHeaders(config: S3Config, options: PutOptions): ObjectHeaders {
  const { contentType, filename, metadata = {}, checksum } = options;
  // Headers are ASCII; a percent escape is how any other text travels.
  const escaped = Object.entries(metadata).map(([name, value]) => [name, encodeURIComponent(value)]);
  return {
    ContentType: contentType,
    ...(filename === undefined ? {} : { ContentDisposition: contentDisposition(filename, { type: 'inline' }) }),
    Metadata: {
      ...Object.fromEntries(escaped),
      ...(checksum === undefined ? {} : { [SHA256_METADATA]: checksum.toLowerCase() }),
    },
    ...(config.sse === undefined ? {} : { ServerSideEncryption: config.sse }),
    ...(config.kmsKeyId === undefined || config.sse !== 'aws:kms' ? {} : { SSEKMSKeyId: config.kmsKeyId }),
  };
}

/** HEAD with the checksum, when the store keeps one; undefined when there is no object. */
export async function headObject(bucket: Bucket, key: string): Promise<HeadObjectCommandOutput | undefined> {
  try {
    return await bucket.client.send(new HeadObjectCommand({ Bucket: bucket.name, Key: key, ChecksumMode: 'ENABLED' }));
  } catch (error) {
    const failure = toStoreError(error);
    if (failure.code === 'NOT_FOUND') return undefined;
    throw failure;
  }
}

/** SHA-256 (hex) of an object: the store's own over all of it, else the one it was put with. */
export function storedChecksum(
  answer: Pick<HeadObjectCommandOutput, 'ChecksumSHA256' | 'Metadata'>,
): string | undefined {
  const { ChecksumSHA256: own, Metadata = {} } = answer;
  // A composite one, `…-<parts>`, is over the parts' digests.
  return own?.endsWith('=') ? Buffer.from(own, 'base64').toString('hex') : Metadata[SHA256_METADATA];
}
