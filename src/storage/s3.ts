import {
  type _Object,
  DeleteObjectsCommand,
  GetObjectCommand,
  type GetObjectCommandOutput,
  type HeadObjectCommandOutput,
  ListObjectsV2Command,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { create as contentDisposition, parse as parseDisposition } from 'content-disposition';
import type { S3Config } from '#config';
import { AppError } from '#errors';
import { assertKey, isKey } from './keys.ts';
import { assertRange } from './range.ts';
import { headObject, openBucket, type S3Limits, storedChecksum } from './s3-bucket.ts';
import { copyStored } from './s3-copy.ts';
import { createS3Direct } from './s3-direct.ts';
import { codeOf, onS3 } from './s3-errors.ts';
import { createLockCheck, withLock } from './s3-lock.ts';
import { abandonMultipart } from './s3-multipart.ts';
import { createProbe } from './s3-probe.ts';
import { putResumable } from './s3-put.ts';
import { quarantineStored } from './s3-quarantine.ts';
import { readBody } from './s3-read.ts';
import { signedLifetime } from './s3-sign.ts';
import { streamBytes } from './s3-stream.ts';
import { abortUpload, listUploads } from './s3-uploads.ts';
import { verifyStored } from './s3-verdict.ts';
import type { ObjectInfo, PutOptions, Store } from './store.ts';
import { unlessAborted } from './unless-aborted.ts';

export interface S3StoreOptions {
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  readonly limits?: Partial<S3Limits> | undefined;
}

/** The most that S3 lists, and deletes, in one request. */
const PAGE = 1_000;

/** The store in a bucket of S3, or of what speaks like it. What the store can do is found out at the first put. */
export function createS3Store(config: S3Config, { clock, limits }: S3StoreOptions): Store {
  const bucket = openBucket(config, limits);
  const { client, signer, name: Bucket } = bucket;
  const abilities = createProbe(bucket);
  const canLock = createLockCheck(bucket);

  async function deletePage(keys: readonly string[]): Promise<void> {
    const Delete = { Objects: keys.map((Key) => ({ Key })), Quiet: true };
    const { Errors = [] } = await client.send(new DeleteObjectsCommand({ Bucket, Delete }));
    const failures = Errors.filter(({ Code }) => Code !== 'NoSuchKey');
    const [first] = failures;
    if (first === undefined) return;
    throw new AppError(
      codeOf(first.Code ?? 'unknown', undefined),
      `The store kept ${failures.length} of ${keys.length} objects: ${first.Message ?? first.Code}`,
      { details: { keys: failures.map(({ Key }) => Key) } },
    );
  }

  return {
    kind: 's3',
    canLock: () => onS3(canLock),
    direct: createS3Direct(bucket, clock),
    put: (key, source, options) =>
      onS3(async () => {
        assertKey(key);
        const able = await unlessAborted(options.signal, abilities());
        const { journal, ...asked } = withoutPastLock(options, clock());
        return withLock(asked.lock, async () => {
          if (journal) return putResumable(bucket, able, key, source, { ...asked, journal });
          const sent = await streamBytes(bucket, able, key, source, asked);
          return verifyStored(bucket, able, key, sent, { signal: asked.signal, lock: asked.lock });
        });
      }, options.signal),

    copy: (from, to, options) =>
      onS3(async () => {
        assertKey(to);
        const able = await unlessAborted(options.signal, abilities());
        const asked = withoutPastLock(options, clock());
        return withLock(asked.lock, () => copyStored(bucket, able, from, to, asked));
      }, options.signal),

    abandon: (key, journal) =>
      onS3(async () => {
        assertKey(key);
        await abandonMultipart(bucket, key, journal);
      }),

    listUploads: (prefix, page = {}) => onS3(() => listUploads(bucket, prefix, page)),

    abortUpload: (upload) => onS3(() => abortUpload(bucket, upload)),

    quarantine: (key) =>
      onS3(async () => {
        assertKey(key);
        return quarantineStored(bucket, await abilities(), key);
      }),

    get: (key, { range, signal } = {}) =>
      onS3(async () => {
        assertKey(key);
        if (range) assertRange(range);
        const Range = range && `bytes=${range.start}-${range.end}`;
        const command = new GetObjectCommand({ Bucket, Key: key, Range });
        const answer = await client.send(command, signal ? { abortSignal: signal } : {});
        return { body: readBody(answer.Body, signal), info: objectInfo(key, answer) };
      }, signal),

    head: (key) =>
      onS3(async () => {
        assertKey(key);
        const found = await headObject(bucket, key);
        return found && objectInfo(key, found);
      }),

    list: (prefix, { after, limit = PAGE } = {}) =>
      onS3(async () => {
        const page = { Bucket, Prefix: prefix, MaxKeys: Math.min(limit, PAGE) };
        let answer = await client.send(new ListObjectsV2Command({ ...page, StartAfter: after }));
        // A page may be empty and still not the last.
        while (answer.IsTruncated && answer.Contents === undefined && answer.NextContinuationToken) {
          const ContinuationToken = answer.NextContinuationToken;
          answer = await client.send(new ListObjectsV2Command({ ...page, ContinuationToken }));
        }
        const found = (answer.Contents ?? []).map(listedInfo);
        // Others may have put what has no key of ours, as the `folder/` that a console makes.
        const objects = found.filter(({ key }) => isKey(key));
        return { objects, next: answer.IsTruncated ? found.at(-1)?.key : undefined };
      }),

    deleteMany: (keys) =>
      onS3(async () => {
        for (const key of keys) assertKey(key);
        for (let start = 0; start < keys.length; start += PAGE) await deletePage(keys.slice(start, start + PAGE));
      }),

    signGet: (key, { expiresInSeconds, filename, download = false }) =>
      onS3(async () => {
        assertKey(key);
        const { expiresAt, ...lifetime } = await signedLifetime(bucket, clock(), expiresInSeconds);
        const type = download ? 'attachment' : 'inline';
        const ResponseContentDisposition =
          filename === undefined && !download ? undefined : contentDisposition(filename, { type });
        const command = new GetObjectCommand({ Bucket, Key: key, ResponseContentDisposition });
        return { url: await getSignedUrl(signer, command, lifetime), expiresAt };
      }),

    check: () =>
      onS3(async () => {
        // Unlike HEAD, a listing says which of bucket and key is not there.
        await client.send(new ListObjectsV2Command({ Bucket, MaxKeys: 1 }));
        await abilities();
      }),

    close: async () => bucket.close(),
  };
}

/** A lock that ended while its file waited asks for nothing more. */
function withoutPastLock(options: PutOptions, now: number): PutOptions {
  return options.lock && options.lock.until <= now ? { ...options, lock: undefined } : options;
}

function objectInfo(key: string, answer: GetObjectCommandOutput | HeadObjectCommandOutput): ObjectInfo {
  const { ContentLength = 0, ContentRange, ContentDisposition, ContentType, LastModified, ETag = '' } = answer;
  const size = ContentRange === undefined ? ContentLength : Number(ContentRange.split('/')[1]);
  return {
    key,
    size,
    lastModified: LastModified?.getTime() ?? 0,
    etag: ETag,
    contentType: ContentType,
    checksum: storedChecksum(answer),
    filename: ContentDisposition && parseDisposition(ContentDisposition).parameters.filename,
  };
}

function listedInfo({ Key = '', Size = 0, LastModified, ETag = '' }: _Object): ObjectInfo {
  return { key: Key, size: Size, lastModified: LastModified?.getTime() ?? 0, etag: ETag };
}
