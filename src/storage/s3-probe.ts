import { createHash, randomUUID } from 'node:crypto';
import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { AppError } from '#errors';
import { type Bucket, headObject } from './s3-bucket.ts';
import { onS3, toStoreError } from './s3-errors.ts';
import { objectHeaders } from './s3-headers.ts';
import { assertEncrypted, confirms } from './s3-verify.ts';

/** `sha256`: the store keeps the SHA-256 sent along. `md5Etag`: its ETag is the MD5 of the bytes. */
export interface Abilities {
  readonly sha256: boolean;
  readonly md5Etag: boolean;
}

/** Keys under it are the adapter's own, and short-lived; what a crash leaves there ends like other bytes in staging. */
export const PROBE_PREFIX = 'staging/probe-';

/** Finds out once what the store can do, at the first call; asks again after a failure. */
export function createProbe(bucket: Bucket): () => Promise<Abilities> {
  let asked: Promise<Abilities> | undefined;
  return () => {
    asked ??= onS3(() => probe(bucket)).catch((error: unknown) => {
      asked = undefined;
      throw error;
    });
    return asked;
  };
}

/** Puts, heads and deletes a small object. Throws `ENCRYPTION_NOT_APPLIED` before any real bytes are stored without it. */
async function probe(bucket: Bucket): Promise<Abilities> {
  const { client, name, config } = bucket;
  const key = PROBE_PREFIX + randomUUID();
  const bytes = Buffer.from(key);
  const sha256 = createHash('sha256').update(bytes).digest();
  const md5 = createHash('md5').update(bytes).digest();
  const put = { Bucket: name, Key: key, Body: bytes, ...objectHeaders(config, key, { contentType: 'text/plain' }) };
  try {
    await client.send(new PutObjectCommand({ ...put, ChecksumSHA256: sha256.toString('base64') }));
  } catch (error) {
    // A store so old that it refuses the header gets the bytes without it.
    if (!['STORE_REJECTED', 'STORE_FAILED'].includes(toStoreError(error).code)) throw error;
    await client.send(new PutObjectCommand(put));
  }
  try {
    const head = await headObject(bucket, key);
    if (head === undefined) throw new AppError('STORE_REJECTED', 'The store took an object and does not have it.');
    assertEncrypted(config, head);
    const sent = { size: bytes.length, checksum: sha256.toString('hex'), multipart: false };
    const expected = { ...sent, parts: [{ sha256, md5 }] };
    return {
      sha256: confirms(expected, head) === 'checksum',
      md5Etag: confirms(expected, { ...head, ChecksumSHA256: undefined }) === 'etag',
    };
  } finally {
    await client.send(new DeleteObjectCommand({ Bucket: name, Key: key }));
  }
}
