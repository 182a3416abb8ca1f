import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  ListPartsCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { z } from 'zod';
import { AppError } from '#errors';
import type { Bucket } from './s3-bucket.ts';
import { isVanished } from './s3-errors.ts';
import { objectHeaders } from './s3-headers.ts';
import type { Part } from './s3-parts.ts';
import type { Abilities } from './s3-probe.ts';
import { abortUpload } from './s3-uploads.ts';
import type { Journal, PutOptions } from './store.ts';

/** The options of a put that another process may go on with. */
export type ResumableOptions = PutOptions & { readonly journal: Journal };

/** One multipart upload, of this process or continued from another. */
export interface Multipart {
  readonly partSize: number;
  /** Sends a part, unless the store has the very same one from before. */
  send(part: Part, signal: AbortSignal): Promise<void>;
  /** Joins the parts into the object. */
  complete(signal: AbortSignal): Promise<void>;
  /** Drops the parts; errors are left to the bucket's own rule for abandoned uploads. */
  abort(): Promise<void>;
}

const uploadRecord = z.object({ key: z.string(), uploadId: z.string(), partSize: z.int().positive() });
const partRecord = z.object({ etag: z.string(), sha256: z.string() });
type UploadRecord = z.infer<typeof uploadRecord>;
type Stored = ReadonlyMap<number, { etag: string; size: number }>;

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
    await options.journal.write({ upload: JSON.stringify(record) });
  } catch (error) {
    // Nobody else knows its id, so nobody else would end it.
    await upload.abort();
    throw error;
  }
  return upload;
}

/** The upload that the journal knows, as far as the store still has it; undefined when there is nothing to go on with. */
export async function resumeMultipart(
  bucket: Bucket,
  key: string,
  abilities: Abilities,
  journal: Journal,
): Promise<Multipart | undefined> {
  const fields = await journal.read();
  const record = parse(uploadRecord, fields.upload);
  if (record?.key !== key) return undefined;
  const stored = await listParts(bucket, record);
  return stored && multipart(bucket, record, stored, fields, abilities, journal);
}

/** Drops the upload that the journal knows, with all its parts. */
export async function abandonMultipart(bucket: Bucket, key: string, journal: Journal): Promise<void> {
  const record = parse(uploadRecord, (await journal.read()).upload);
  if (record?.key === key) await abortUpload(bucket, record);
}

function multipart(
  { client, name, digests }: Bucket,
  { key, uploadId, partSize }: UploadRecord,
  stored: Stored,
  fields: Readonly<Record<string, string>>,
  { sha256: keepsSha256 }: Abilities,
  journal: Journal,
): Multipart {
  const upload = { Bucket: name, Key: key, UploadId: uploadId };
  const done = new Map<number, { ETag: string; ChecksumSHA256?: string }>();

  /** The ETag of a part that the store has, and that was these very bytes when it was sent. */
  function etagOfSame({ number, bytes, digest }: Part): string | undefined {
    const held = stored.get(number);
    const record = parse(partRecord, fields[`part:${number}`]);
    const same = held?.size === bytes.length && record?.sha256 === digest.sha256.toString('hex');
    return same && held.etag === record.etag ? held.etag : undefined;
  }

  return {
    partSize,
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
        const record = { etag, sha256: digest.sha256.toString('hex') };
        await journal.write({ [`part:${number}`]: JSON.stringify(record) });
      }
      done.set(number, { ETag: etag, ...checksum });
    },
    async complete(signal) {
      const Parts = [...done].sort(([a], [b]) => a - b).map(([PartNumber, part]) => ({ PartNumber, ...part }));
      const command = new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts } });
      // A repeat whose first answer was lost finds no upload: then the object is there, and verifying it decides.
      await client.send(command, { abortSignal: signal }).catch((error: unknown) => {
        if (!isVanished(error)) throw error;
      });
    },
    async abort() {
      await client.send(new AbortMultipartUploadCommand(upload)).catch(() => undefined);
    },
  };
}

/** The parts that the store has, by number; undefined when it has no such upload. Pages by hand: the SDK's paginator goes on for as long as there is a marker, and some stores always give one. */
export async function listParts(
  { client, name }: Bucket,
  { key, uploadId }: Pick<UploadRecord, 'key' | 'uploadId'>,
): Promise<Stored | undefined> {
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
      marker = page.IsTruncated ? page.NextPartNumberMarker : undefined;
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

/** A journal's field; what another version or a torn write left there counts as nothing. */
function parse<T>(schema: z.ZodType<T>, text: string | undefined): T | undefined {
  try {
    return schema.parse(JSON.parse(text ?? ''));
  } catch {
    return undefined;
  }
}
