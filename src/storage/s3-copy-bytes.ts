import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  type HeadObjectCommandOutput,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import pLimit from 'p-limit';
import { AppError } from '#errors';
import { isFinal } from './journal.ts';
import { partSizeFor } from './parts.ts';
import type { Bucket } from './s3-bucket.ts';
import { isNamed, isVanished } from './s3-errors.ts';
import type { ObjectHeaders } from './s3-headers.ts';
import { readUpload, type UploadRecord, uploadFields } from './s3-journal.ts';
import { listParts, type StoredParts } from './s3-multipart.ts';
import type { Abilities } from './s3-probe.ts';
import { abortUpload } from './s3-uploads.ts';
import type { PutOptions } from './store.ts';

/** Parts copied at once. */
const PARALLEL = 4;

/** What is copied, and under which headers. */
export interface CopyRequest extends Pick<PutOptions, 'signal' | 'park' | 'journal'> {
  readonly from: string;
  readonly to: string;
  /** What HEAD said of `from`: another object there by now is not copied. */
  readonly source: HeadObjectCommandOutput;
  readonly headers: ObjectHeaders;
}

/**
 * Has the store copy the bytes, in one request as far as S3 allows, else part by part. False when it cannot copy such an
 * object: RGW, for one, does not copy what it encrypted. A copy by parts that breaks off is gone on with by whoever has the
 * journal; one without a journal drops its parts, and where its process was killed in the middle its upload stays open for
 * reconciliation, which finds it by `listUploads`.
 */
export async function copyBytes(bucket: Bucket, abilities: Abilities, request: CopyRequest): Promise<boolean> {
  try {
    const isWhole = (request.source.ContentLength ?? 0) <= bucket.limits.copySize;
    await (isWhole ? copyWhole(bucket, abilities, request) : copyParts(bucket, request));
    return true;
  } catch (error) {
    if (isNamed(error, 'NotImplemented')) return false;
    throw error;
  }
}

async function copyWhole(bucket: Bucket, abilities: Abilities, request: CopyRequest): Promise<void> {
  const { from, to, source, headers, signal } = request;
  const command = new CopyObjectCommand({
    Bucket: bucket.name,
    Key: to,
    CopySource: copySource(bucket, from),
    CopySourceIfMatch: source.ETag,
    MetadataDirective: 'REPLACE',
    TaggingDirective: 'REPLACE',
    ...headers,
    ...(abilities.sha256 ? { ChecksumAlgorithm: 'SHA256' } : {}),
  });
  await bucket.client.send(command, signal ? { abortSignal: signal } : {});
}

async function copyParts(bucket: Bucket, request: CopyRequest): Promise<void> {
  const { from, to, source, signal, park, journal } = request;
  const size = source.ContentLength ?? 0;
  const { record, held } = (await resumeCopy(bucket, request)) ?? (await startCopy(bucket, request));
  const { uploadId, partSize } = record;
  const upload = { Bucket: bucket.name, Key: to, UploadId: uploadId };
  const failed = new AbortController();
  const copying = AbortSignal.any([failed.signal, ...(signal ? [signal] : [])]);

  /** Answers nothing once the copy is not to go on. */
  async function copyPart(PartNumber: number) {
    const start = (PartNumber - 1) * partSize;
    const end = Math.min(start + partSize, size);
    const part = held.get(PartNumber);
    if (part?.size === end - start) return [{ PartNumber, ETag: part.etag }];
    if (park?.aborted || copying.aborted) return [];
    const range = { CopySource: copySource(bucket, from), CopySourceRange: `bytes=${start}-${end - 1}` };
    const command = new UploadPartCopyCommand({ ...upload, ...range, PartNumber, CopySourceIfMatch: source.ETag });
    try {
      const { CopyPartResult } = await bucket.client.send(command, { abortSignal: copying });
      return [{ PartNumber, ETag: CopyPartResult?.ETag }];
    } catch (error) {
      failed.abort(error);
      return [];
    }
  }

  try {
    const numbers = Array.from({ length: Math.ceil(size / partSize) }, (_, index) => index + 1);
    const Parts = (await pLimit(PARALLEL).map(numbers, copyPart)).flat();
    for (const stop of [signal, failed.signal, park]) stop?.throwIfAborted();
    const command = new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts } });
    // A repeat whose first answer was lost finds no upload: then the object is there, and verifying it decides.
    await bucket.client.send(command, { abortSignal: copying }).catch((error: unknown) => {
      if (!isVanished(error)) throw error;
    });
  } catch (error) {
    const isOver = journal === undefined || isFinal(request, error);
    if (isOver) await abortUpload(bucket, { key: to, uploadId }).catch(() => undefined);
    throw error;
  }
}

interface BegunCopy {
  readonly record: UploadRecord;
  /** Parts that the store has. */
  readonly held: StoredParts;
}

/** The copy that the journal tells of, when it is of the same object and the store still has it. */
async function resumeCopy(bucket: Bucket, { to, source, journal }: CopyRequest): Promise<BegunCopy | undefined> {
  const record = journal && readUpload(await journal.read(), to);
  if (record?.source === undefined) return undefined;
  if (record.source === source.ETag) {
    const held = await listParts(bucket, record);
    return held && { record, held };
  }
  await abortUpload(bucket, record);
  return undefined;
}

async function startCopy(bucket: Bucket, { to, source, headers, journal }: CopyRequest): Promise<BegunCopy> {
  const { client, name, limits } = bucket;
  const { ContentLength: size, ETag = '' } = source;
  const command = new CreateMultipartUploadCommand({ Bucket: name, Key: to, ...headers });
  const { UploadId: uploadId } = await client.send(command);
  if (uploadId === undefined) throw new AppError('STORE_REJECTED', 'The store gave no id for a multipart upload.');
  const partSize = partSizeFor(size, limits.copyPartSize, limits.parts);
  const record = { key: to, uploadId, partSize, source: ETag };
  try {
    await journal?.write(uploadFields(record));
  } catch (error) {
    // Nobody else knows its id, so nobody else would end it.
    await abortUpload(bucket, record).catch(() => undefined);
    throw error;
  }
  return { record, held: new Map() };
}

function copySource(bucket: Bucket, key: string): string {
  return `${bucket.name}/${key.split('/').map(encodeURIComponent).join('/')}`;
}
