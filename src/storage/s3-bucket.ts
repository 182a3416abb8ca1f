import { HeadObjectCommand, type HeadObjectCommandOutput } from '@aws-sdk/client-s3';
import type { S3Config } from '#config';
import { type Connection, connectS3 } from './s3-client.ts';
import { toStoreError } from './s3-errors.ts';
import { SHA256_METADATA } from './s3-headers.ts';

/** A bucket and the clients that speak to it. */
export interface Bucket extends Connection {
  readonly name: string;
  readonly config: S3Config;
  readonly limits: S3Limits;
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

const MIB = 1024 ** 2;
const LIMITS: S3Limits = { partSize: 8 * MIB, parts: 10_000, copySize: 5 * 1024 * MIB, copyPartSize: 512 * MIB };

/** Opens the bucket; nothing is sent yet. */
export function openBucket(config: S3Config, limits: Partial<S3Limits> = {}): Bucket {
  return { ...connectS3(config), name: config.bucket, config, limits: { ...LIMITS, ...limits } };
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
