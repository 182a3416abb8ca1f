import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  ListPartsCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { AppError } from '#errors';
import type { ResumableOptions } from './journal.ts';
import type { Part } from './parts.ts';
import type { Bucket } from './s3-bucket.ts';
import type { Expected } from './s3-digest.ts';
import { isVanished, toStoreError } from './s3-errors.ts';
import { objectHeaders } from './s3-headers.ts';
import {
  joinFields,
  partFields,
  readJoin,
  readPart,
  readUpload,
  type UploadRecord,
  uploadFields,
} from './s3-journal.ts';
import type { Abilities } from './s3-probe.ts';
import { abortUpload, listUploads } from './s3-uploads.ts';
import type { Journal } from './store.ts';

/** One multipart upload, of this process or continued from another. */
export interface Multipart {
  readonly partSize: number;
  /** True when the store has parts beyond those sent now, of a source that was longer then: RGW joins all or none. */
  hasMore(): boolean;
  /** Sends a part, unless the store has the very same one from before. */
  send(part: Part, signal: AbortSignal): Promise<void>;
  /** Joins the parts into the object, after noting what it is. */
  complete(whole: { readonly size: number; readonly checksum: string }, signal: AbortSignal): Promise<void>;
  /** Drops the parts. */
  abort(): Promise<void>;
}

/** What an earlier process left: an upload to go on with, or what its parts were to be joined to when it is over. */
export interface Begun {
  readonly upload?: Multipart | undefined;
  readonly joined?: Expected | undefined;
}

/** Parts that the store has, by number. */
export type StoredParts = ReadonlyMap<number, { readonly etag: string; readonly size: number }>;

/** Starts an upload and writes it to the journal, before any part is sent. */
export async function startMultipart(
  bucket: Bucket,
  key: string,
  partSize: number,
  abilities: Abilities,
  options: ResumableOptions,
): Promise<Multipart> {
  const { UploadId: uploadId } = await bucket.client.send(
    new CreateMultipartUploadCommand({
      Bucket: bucket.name,
      Key: key,
      ...objectHeaders(bucket.config, key, options),
      ...(abilities.sha256 ? { ChecksumAlgorithm: 'SHA256' } : {}),
    }),
  );
  if (uploadId === undefined) throw new AppError('STORE_REJECTED', 'The store gave no id for a multipart upload.');
  const record = { key, uploadId, partSize };
  const upload = multipart(bucket, record, new Map(), {}, abilities, options.journal);
  try {
    await options.journal.write(uploadFields(record));
  } catch (error) {
    // Nobody else knows its id, so nobody else would end it.
    await upload.abort().catch(() => undefined);
    throw error;
  }
  return upload;
}

/** What the journal knows of an earlier put to `key`, as far as the store still has it; nothing when it is to begin anew. */
export async function resumeMultipart(
  bucket: Bucket,
  key: string,
  abilities: Abilities,
  journal: Journal,
): Promise<Begun> {
  const fields = await journal.read();
  const record = readUpload(fields, key);
  if (record === undefined || record.source !== undefined) return {};
  const stored = await listParts(bucket, record);
  if (stored) return { upload: multipart(bucket, record, stored, fields, abilities, journal) };
  const join = readJoin(fields, record.uploadId);
  return { joined: join && { size: join.size, checksum: join.checksum, parts: join.digests, multipart: true } };
}

/** Drops the upload that the journal knows, with all its parts, and any other at the key. */
export async function abandonMultipart(bucket: Bucket, key: string, journal: Journal): Promise<void> {
  const record = readUpload(await journal.read(), key);
  if (record) await abortUpload(bucket, record);
  await endUploads(bucket, key).catch((error: unknown) => {
    if (toStoreError(error).unavailable) throw error;
  });
}

/** Drops every upload at the key: one whose beginning was answered to nobody is in no journal. */
export async function endUploads(bucket: Bucket, key: string): Promise<void> {
  const { uploads } = await listUploads(bucket, key, {});
  for (const upload of uploads) if (upload.key === key) await abortUpload(bucket, upload);
}

function multipart(
  bucket: Bucket,
  { key, uploadId, partSize }: UploadRecord,
  stored: StoredParts,
  fields: Readonly<Record<string, string>>,
  { sha256: keepsSha256 }: Abilities,
  journal: Journal,
): Multipart {
  const { client, name, digests } = bucket;
  const upload = { Bucket: name, Key: key, UploadId: uploadId };
  const done = new Map<number, { ETag: string; ChecksumSHA256?: string }>();

  /** The ETag of a part that the store has whole, and that was these very bytes when it was sent. */
  function etagOfSame({ number, bytes, digest }: Part): string | undefined {
    const held = stored.get(number);
    const record = readPart(fields, number);
    const isSame = held?.size === bytes.length && record?.sha256.equals(digest.sha256) && record.etag === held.etag;
    return isSame ? held.etag : undefined;
  }

  return {
    partSize,
    hasMore: () => [...stored.keys()].some((number) => !done.has(number)),
    async send(part, signal) {
      const { number, bytes, digest } = part;
      const checksum = keepsSha256 ? { ChecksumSHA256: digest.sha256.toString('base64') } : {};
      const proof = digest.md5 ? { ContentMD5: digest.md5.toString('base64') } : {};
      let etag = etagOfSame(part);
      if (etag === undefined) {
        const command = new UploadPartCommand({ ...upload, ...checksum, ...proof, PartNumber: number, Body: bytes });
        digests.set(bytes, digest.sha256);
        ({ ETag: etag } = await client.send(command, { abortSignal: signal }).catch((error: unknown) => {
          throw isVanished(error) ? vanished(error) : error;
        }));
        if (etag === undefined) throw new AppError('STORE_REJECTED', `The store gave no ETag for part ${number}.`);
        await journal.write(partFields(number, { etag, ...digest }));
      }
      done.set(number, { ETag: etag, ...checksum });
    },
    async complete(whole, signal) {
      await journal.write(joinFields({ uploadId, parts: done.size, ...whole }));
      const Parts = [...done].sort(([a], [b]) => a - b).map(([PartNumber, part]) => ({ PartNumber, ...part }));
      const command = new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts } });
      // A repeat whose first answer was lost finds no upload: then the object is there, and verifying it decides.
      await client.send(command, { abortSignal: signal }).catch((error: unknown) => {
        if (!isVanished(error)) throw error;
      });
    },
    abort: () => abortUpload(bucket, { key, uploadId }),
  };
}

/**
 * The parts that the store has; undefined when it has no such upload. Pages by hand: the SDK's paginator goes on for as
 * long as there is a marker, and some stores always give one.
 */
export async function listParts(
  { client, name }: Bucket,
  { key, uploadId }: Pick<UploadRecord, 'key' | 'uploadId'>,
): Promise<StoredParts | undefined> {
  const stored = new Map<number, { etag: string; size: number }>();
  let marker: string | undefined;
  try {
    do {
      const page = await client.send(
        new ListPartsCommand({ Bucket: name, Key: key, UploadId: uploadId, PartNumberMarker: marker }),
      );
      for (const { PartNumber: number, ETag: etag = '', Size: size = 0 } of page.Parts ?? []) {
        if (number !== undefined) stored.set(number, { etag, size });
      }
      const next = page.IsTruncated ? page.NextPartNumberMarker : undefined;
      // A store that repeats its marker has no more to tell.
      marker = next === marker ? undefined : next;
    } while (marker !== undefined);
    return stored;
  } catch (error) {
    if (isVanished(error)) return undefined;
    throw error;
  }
}

function vanished(cause: unknown): AppError {
  return new AppError('STORE_UNAVAILABLE', 'The multipart upload vanished; the next try starts anew.', { cause });
}
