import { createHash } from 'node:crypto';
import { DeleteObjectCommand, GetObjectCommand, type HeadObjectCommandOutput } from '@aws-sdk/client-s3';
import type { S3Config } from '#config';
import type { Encryption, StoredFacts } from '#domain';
import { AppError, type ErrorCode } from '#errors';
import { type Bucket, headObject } from './s3-bucket.ts';
import { onS3 } from './s3-errors.ts';
import { confirmLock } from './s3-lock.ts';
import { readBody } from './s3-read.ts';
import type { PutOptions } from './store.ts';

/** Digests of one part as it was sent. The MD5 is there when the store's ETags are made of it. */
export interface Digest {
  readonly sha256: Buffer;
  readonly md5?: Buffer | undefined;
}

/** What the store should now hold: the SHA-256 (hex) of all of it, and the digests of its parts; none when copied. */
export interface Expected {
  readonly size: number;
  readonly checksum: string;
  readonly parts: readonly Digest[];
  readonly multipart: boolean;
}

/** Errors after which nobody wants the object. Any other leaves it: another worker may have committed it meanwhile. */
const WORTHLESS: ReadonlySet<ErrorCode> = new Set([
  'CHECKSUM_MISMATCH',
  'SIZE_MISMATCH',
  'ENCRYPTION_NOT_APPLIED',
  'LOCK_NOT_APPLIED',
  'CANCELLED',
]);

type Answer = Pick<
  HeadObjectCommandOutput,
  'ContentLength' | 'ChecksumSHA256' | 'ETag' | 'ServerSideEncryption' | 'SSEKMSKeyId'
>;

/**
 * Asks the store what it holds at `key` and compares, by the strongest means it has; by reading it back when it has none.
 * An object that is not as expected is deleted, then `SIZE_MISMATCH`, `CHECKSUM_MISMATCH`, `ENCRYPTION_NOT_APPLIED` or
 * `LOCK_NOT_APPLIED`.
 */
export async function verifyStored(
  bucket: Bucket,
  key: string,
  expected: Expected,
  { signal, onProgress, lock: asked }: Pick<PutOptions, 'signal' | 'onProgress' | 'lock'>,
): Promise<StoredFacts> {
  const head = await headObject(bucket, key);
  if (head === undefined) throw new AppError('STORE_UNAVAILABLE', 'The object is gone before it could be verified.');
  try {
    assertEncrypted(bucket.config, head);
    const lock = await confirmLock(bucket, key, head, asked);
    if (head.ContentLength !== expected.size) throw mismatch('SIZE_MISMATCH', expected.size, head.ContentLength);
    const verifiedBy = confirms(expected, head) ?? 'readback';
    if (verifiedBy === 'readback') {
      const held = await hashStored(bucket, key, { signal, onProgress });
      if (held !== expected.checksum) throw mismatch('CHECKSUM_MISMATCH', expected.checksum, held);
    }
    const { size, checksum } = expected;
    const { VersionId: versionId } = head;
    return { s3Key: key, size, checksum, verifiedBy, encryption: encryptionOf(head), lock, versionId };
  } catch (error) {
    if (error instanceof AppError && WORTHLESS.has(error.code)) await remove(bucket, key, head.VersionId);
    throw error;
  }
}

/** How the store's answer to HEAD proves that it holds the bytes; undefined when it proves nothing. */
export function confirms(expected: Expected, answer: Answer): 'checksum' | 'composite' | 'etag' | undefined {
  const { ChecksumSHA256: sha256, ETag: etag = '', ServerSideEncryption: encryption = '' } = answer;
  const { parts, multipart, checksum } = expected;
  if (sha256 === Buffer.from(checksum, 'hex').toString('base64')) return 'checksum';
  const suffix = multipart ? `-${parts.length}` : '';
  if (multipart && sha256?.replace(/-\d+$/, '') === combine('sha256', parts).toString('base64')) return 'composite';
  // Under KMS an ETag is no digest of the bytes, though it looks like one.
  if (encryption.startsWith('aws:kms') || parts.length === 0 || parts.some(({ md5 }) => md5 === undefined)) return;
  const md5 = multipart ? combine('md5', parts) : parts[0]?.md5;
  return etag === `"${md5?.toString('hex')}${suffix}"` ? 'etag' : undefined;
}

function encryptionOf({
  ServerSideEncryption: algorithm,
  SSEKMSKeyId: keyId,
  BucketKeyEnabled: bucketKey,
}: HeadObjectCommandOutput): Encryption | undefined {
  return algorithm && { algorithm, keyId, ...(bucketKey && { bucketKey }) };
}

/** Throws `ENCRYPTION_NOT_APPLIED` unless the answer confirms the encryption that the configuration asks for. */
export function assertEncrypted(config: S3Config, answer: Answer): void {
  const { sse, kmsKeyId } = config;
  if (sse === undefined) return;
  const { ServerSideEncryption: applied, SSEKMSKeyId: key = '' } = answer;
  // An alias is answered with the key it stands for, which cannot be compared.
  const isKey =
    sse === 'AES256' || kmsKeyId === undefined || kmsKeyId.includes('alias/') || `/${key}`.endsWith(`/${kmsKeyId}`);
  if (applied === sse && isKey) return;
  throw new AppError('ENCRYPTION_NOT_APPLIED', `The store was asked for ${sse} and applied ${applied ?? 'none'}.`, {
    details: { asked: { sse, kmsKeyId }, applied: { sse: applied, kmsKeyId: key } },
  });
}

/** SHA-256 (hex) of an object, read whole. */
export async function hashStored(
  { client, name }: Bucket,
  key: string,
  { signal, onProgress }: Pick<PutOptions, 'signal' | 'onProgress'>,
): Promise<string> {
  const command = new GetObjectCommand({ Bucket: name, Key: key });
  return onS3(async () => {
    const { Body } = await client.send(command, signal ? { abortSignal: signal } : {});
    const hash = createHash('sha256');
    let done = 0;
    for await (const chunk of readBody(Body, signal)) {
      hash.update(chunk);
      done += chunk.length;
      onProgress?.(done);
    }
    return hash.digest('hex');
  }, signal);
}

function combine(algorithm: 'sha256' | 'md5', parts: readonly Digest[]): Buffer {
  const hash = createHash(algorithm);
  for (const part of parts) hash.update(part[algorithm] ?? '');
  return hash.digest();
}

/** A version that a lock protects stays; a marker over it still leaves nothing readable at the key. */
async function remove({ client, name }: Bucket, key: string, versionId: string | undefined): Promise<void> {
  const object = { Bucket: name, Key: key };
  await client
    .send(new DeleteObjectCommand({ ...object, VersionId: versionId }))
    .catch(() => client.send(new DeleteObjectCommand(object)))
    .catch(() => undefined);
}

function mismatch(code: 'SIZE_MISMATCH' | 'CHECKSUM_MISMATCH', expected: unknown, held: unknown): AppError {
  return new AppError(code, 'The store holds other bytes than were sent.', { details: { expected, held } });
}
