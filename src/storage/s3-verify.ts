import { createHash } from 'node:crypto';
import { GetObjectCommand, type HeadObjectCommandOutput } from '@aws-sdk/client-s3';
import type { S3Config } from '#config';
import type { Encryption, StoredFacts } from '#domain';
import { AppError } from '#errors';
import type { Bucket } from './s3-bucket.ts';
import type { Digest, Expected } from './s3-digest.ts';
import { onS3 } from './s3-errors.ts';
import { confirmLock } from './s3-lock.ts';
import { readBody } from './s3-read.ts';
import type { PutOptions } from './store.ts';

type Answer = Pick<
  HeadObjectCommandOutput,
  'ContentLength' | 'ChecksumSHA256' | 'ETag' | 'ServerSideEncryption' | 'SSEKMSKeyId'
>;

/**
 * Compares what the store shows of an object with what it should be, by the strongest means it has; by reading it back when
 * it has none. Throws `SIZE_MISMATCH`, `CHECKSUM_MISMATCH`, `ENCRYPTION_NOT_APPLIED` or `LOCK_NOT_APPLIED`.
 */
export async function inspectStored(
  bucket: Bucket,
  key: string,
  head: HeadObjectCommandOutput,
  expected: Expected,
  { signal, onProgress, lock: asked }: Pick<PutOptions, 'signal' | 'onProgress' | 'lock'>,
): Promise<StoredFacts> {
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

function mismatch(code: 'SIZE_MISMATCH' | 'CHECKSUM_MISMATCH', expected: unknown, held: unknown): AppError {
  return new AppError(code, 'The store holds other bytes than were sent.', { details: { expected, held } });
}
