import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { crc32 } from 'node:zlib';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetBucketEncryptionCommand,
  GetBucketLifecycleConfigurationCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import type { S3Config } from '#config';
import { type Bucket, headObject, openBucket } from './s3-bucket.ts';
import { onS3, refused, saidOf } from './s3-errors.ts';
import { objectHeaders } from './s3-headers.ts';
import { createLockCheck } from './s3-lock.ts';
import { type Abilities, createProbe, PROBE_PREFIX } from './s3-probe.ts';
import { missingRights } from './s3-rights.ts';

/** `unknown` where the credentials may not ask, or the store does not know the question. */
type Known<T> = T | 'unknown';

/** What a bucket and the store behind it do. */
export interface S3Examination extends Abilities {
  readonly kind: 's3';
  /** Rights that the credentials lack, in the words of IAM. */
  readonly missingRights: readonly string[];
  /** The bucket's region, which may be another than the configured one. */
  readonly region: string;
  /** A multipart upload keeps the SHA-256 of its parts' digests. */
  readonly composite: boolean;
  /** A multipart upload keeps one checksum over all of its bytes. */
  readonly fullObject: boolean;
  /** A put with `If-None-Match: *` spares an object that is there. */
  readonly conditionalWrites: boolean;
  /** Bodies of unknown checksum are taken as streams with a trailer. */
  readonly streamedTrailers: boolean;
  readonly versioning: Known<'on' | 'off' | 'suspended'>;
  /** A rule of the bucket's ends versions that were deleted or replaced. */
  readonly endsOldVersions: Known<boolean>;
  readonly objectLock: boolean;
  /** Encryption that the bucket applies by itself. */
  readonly defaultEncryption: Known<string | undefined>;
  /** Status of a signed URL as this machine fetched it, or why it could not. */
  readonly signedUrl: number | string;
  /** Whether a page of `origin` may read a signed URL. */
  readonly cors: boolean;
}

/** Tries each of these with small objects of its own, and deletes them. Throws `AppError` when the bucket cannot be used. */
export function examineS3(config: S3Config, origin: string): Promise<S3Examination> {
  return onS3(async () => {
    const bucket = openBucket(config);
    const key = `${PROBE_PREFIX}${randomUUID()}`;
    try {
      const abilities = await createProbe(bucket)();
      await put(bucket, key);
      const [
        composite,
        fullObject,
        conditionalWrites,
        streamedTrailers,
        versioning,
        endsOld,
        objectLock,
        defaultEncryption,
        missing,
      ] = await Promise.all([
        keepsParts(bucket, `${key}-composite`, 'COMPOSITE'),
        keepsParts(bucket, `${key}-full`, 'FULL_OBJECT'),
        sparesExisting(bucket, key),
        takesTrailers(config, `${key}-stream`),
        versioningOf(bucket),
        endsOldVersions(bucket),
        createLockCheck(bucket)(),
        defaultEncryptionOf(bucket),
        missingRights(bucket, `${key}-rights`),
      ]);
      return {
        ...{ kind: 's3', region: await bucket.region(), ...abilities, composite, fullObject },
        ...{ conditionalWrites, streamedTrailers, versioning, endsOldVersions: endsOld },
        ...{ objectLock, defaultEncryption, missingRights: missing },
        ...(await fetchSigned(bucket, key, origin)),
      };
    } finally {
      const left = [key, `${key}-composite`, `${key}-full`, `${key}-stream`];
      await Promise.all(left.map((Key) => remove(bucket, Key)));
      bucket.close();
    }
  });
}

const text = { contentType: 'text/plain' };
const BODY = Buffer.from('reelay');
const silent = () => undefined;
const SILENT = { trace: silent, debug: silent, info: silent, warn: silent, error: silent };

function put(bucket: Bucket, key: string, more: { IfNoneMatch?: string } = {}) {
  const { client, name, config } = bucket;
  return client.send(
    new PutObjectCommand({ Bucket: name, Key: key, Body: BODY, ...objectHeaders(config, key, text), ...more }),
  );
}

function remove({ client, name }: Bucket, Key: string): Promise<unknown> {
  return client.send(new DeleteObjectCommand({ Bucket: name, Key })).catch(() => undefined);
}

/** True when an upload of one part shows the checksum asked for; a store that refuses the question does not. */
async function keepsParts(bucket: Bucket, Key: string, type: 'COMPOSITE' | 'FULL_OBJECT'): Promise<boolean> {
  const { client, name: Bucket, config } = bucket;
  const full = type === 'FULL_OBJECT';
  const kind = full
    ? ({ ChecksumType: type, ChecksumAlgorithm: 'CRC32' } as const)
    : ({ ChecksumAlgorithm: 'SHA256' } as const);
  const crc = Buffer.alloc(4);
  crc.writeUInt32BE(crc32(BODY));
  const sent = full ? { ChecksumCRC32: crc.toString('base64') } : { ChecksumAlgorithm: 'SHA256' as const };
  let upload: { Bucket: string; Key: string; UploadId: string | undefined } | undefined;
  try {
    const headers = objectHeaders(config, Key, text);
    const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key, ...headers, ...kind }));
    upload = { Bucket, Key, UploadId };
    const { ETag, ChecksumSHA256, ChecksumCRC32 } = await client.send(
      new UploadPartCommand({ ...upload, ...sent, PartNumber: 1, Body: BODY }),
    );
    const Parts = [{ PartNumber: 1, ETag, ChecksumSHA256, ChecksumCRC32 }];
    await client.send(
      new CompleteMultipartUploadCommand({
        ...upload,
        ...(full && { ChecksumType: type }),
        MultipartUpload: { Parts },
      }),
    );
    const head = await headObject(bucket, Key);
    return full ? head?.ChecksumCRC32 === crc.toString('base64') : (head?.ChecksumSHA256?.endsWith('-1') ?? false);
  } catch (error) {
    if (upload) await client.send(new AbortMultipartUploadCommand(upload)).catch(() => undefined);
    return refused(error);
  }
}

async function sparesExisting(bucket: Bucket, key: string): Promise<boolean> {
  try {
    await put(bucket, key, { IfNoneMatch: '*' });
    return false;
  } catch (error) {
    return saidOf(error)?.status === 412 || refused(error);
  }
}

async function takesTrailers(config: S3Config, Key: string): Promise<boolean> {
  const bucket = openBucket({ ...config, checksumMode: 'WHEN_SUPPORTED' });
  const stream = { Body: Readable.from([BODY]), ContentLength: BODY.length };
  // The SDK tells the terminal that it cannot repeat a stream.
  Object.assign(bucket.client.config, { logger: SILENT });
  try {
    const headers = objectHeaders(config, Key, text);
    await bucket.client.send(new PutObjectCommand({ Bucket: bucket.name, Key, ...headers, ...stream }));
    return true;
  } catch (error) {
    return refused(error);
  } finally {
    bucket.close();
  }
}

async function versioningOf({ client, name }: Bucket): Promise<S3Examination['versioning']> {
  return ifKnown(async () => {
    const { Status } = await client.send(new GetBucketVersioningCommand({ Bucket: name }));
    return Status === undefined ? 'off' : Status === 'Enabled' ? 'on' : 'suspended';
  });
}

async function endsOldVersions({ client, name }: Bucket): Promise<S3Examination['endsOldVersions']> {
  return ifKnown(async () => {
    const { Rules = [] } = await client
      .send(new GetBucketLifecycleConfigurationCommand({ Bucket: name }))
      .catch((error: unknown) => {
        if (saidOf(error)?.name === 'NoSuchLifecycleConfiguration') return { Rules: [] };
        throw error;
      });
    return Rules.some(({ Status, NoncurrentVersionExpiration }) => Status === 'Enabled' && NoncurrentVersionExpiration);
  });
}

async function defaultEncryptionOf({ client, name }: Bucket): Promise<S3Examination['defaultEncryption']> {
  return ifKnown(async () => {
    const { ServerSideEncryptionConfiguration: found } = await client
      .send(new GetBucketEncryptionCommand({ Bucket: name }))
      .catch((error: unknown) => {
        if (saidOf(error)?.name === 'ServerSideEncryptionConfigurationNotFoundError') return {} as never;
        throw error;
      });
    return found?.Rules?.[0]?.ApplyServerSideEncryptionByDefault?.SSEAlgorithm;
  });
}

async function ifKnown<T>(ask: () => Promise<T>): Promise<Known<T>> {
  try {
    return await ask();
  } catch (error) {
    refused(error);
    return 'unknown';
  }
}

async function fetchSigned(
  { client, signer, name, region }: Bucket,
  Key: string,
  origin: string,
): Promise<Pick<S3Examination, 'signedUrl' | 'cors'>> {
  await region();
  await client.config.credentials();
  const url = await getSignedUrl(signer, new GetObjectCommand({ Bucket: name, Key }), { expiresIn: 60 });
  const ask = { origin, 'access-control-request-method': 'GET' };
  try {
    const { status } = await fetch(url);
    const preflight = await fetch(url, { method: 'OPTIONS', headers: ask });
    return { signedUrl: status, cors: preflight.ok && preflight.headers.has('access-control-allow-origin') };
  } catch (error) {
    const { cause } = error as { cause?: unknown };
    return { signedUrl: String((cause instanceof Error && cause.message) || error), cors: false };
  }
}
