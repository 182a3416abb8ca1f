import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  type HeadObjectCommandOutput,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import pLimit from 'p-limit';
import type { StoredFacts } from '#domain';
import { AppError } from '#errors';
import { assertChecksum, assertSize } from './measured.ts';
import { type Bucket, headObject, storedChecksum } from './s3-bucket.ts';
import { isNamed } from './s3-errors.ts';
import { type ObjectHeaders, objectHeaders } from './s3-headers.ts';
import { partSizeFor } from './s3-parts.ts';
import type { Abilities } from './s3-probe.ts';
import { readBody } from './s3-read.ts';
import { streamSource } from './s3-stream.ts';
import { hashStored, verifyStored } from './s3-verify.ts';
import type { PutOptions, Source } from './store.ts';

/** Parts copied at once. */
const PARALLEL = 4;

/** Copies inside the store, in one request as far as S3 allows, else part by part; then verifies the copy. */
export async function copyStored(
  bucket: Bucket,
  abilities: Abilities,
  from: string,
  to: string,
  options: PutOptions,
): Promise<StoredFacts> {
  options.signal?.throwIfAborted();
  const source = await headObject(bucket, from);
  if (source === undefined) throw new AppError('NOT_FOUND', 'There is no object to copy.', { details: { key: from } });
  const size = source.ContentLength ?? 0;
  assertSize(size, options.maxSize);
  const known = storedChecksum(source);
  if (known !== undefined) assertChecksum(known, options.checksum);
  const checksum =
    options.checksum?.toLowerCase() ?? known ?? (await hashStored(bucket, from, { signal: options.signal }));
  const described = { ...options, checksum };
  const headers = objectHeaders(bucket.config, to, described);
  const isCopied = await copyBytes(bucket, abilities, { from, to, source, headers, signal: options.signal });
  if (!isCopied) return streamSource(bucket, abilities, to, objectSource(bucket, from, size), described);
  const facts = await verifyStored(bucket, to, { size, checksum, parts: [], multipart: false }, options);
  options.onProgress?.(size);
  return facts;
}

/** What is copied, and under which headers. */
export interface CopyRequest {
  readonly from: string;
  readonly to: string;
  /** What HEAD said of `from`: another object there by now is not copied. */
  readonly source: HeadObjectCommandOutput;
  readonly headers: ObjectHeaders;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Has the store copy the bytes, in one request as far as S3 allows, else part by part. False when it cannot copy such an
 * object: RGW, for one, does not copy what it encrypted.
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

async function copyParts(bucket: Bucket, { from, to, source, headers, signal }: CopyRequest): Promise<void> {
  const { client, name, limits } = bucket;
  const size = source.ContentLength ?? 0;
  const partSize = partSizeFor(size, limits.copyPartSize, limits.parts);
  const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket: name, Key: to, ...headers }));
  const upload = { Bucket: name, Key: to, UploadId };
  const failed = new AbortController();
  const copying = AbortSignal.any([failed.signal, ...(signal ? [signal] : [])]);
  const numbers = Array.from({ length: Math.ceil(size / partSize) }, (_, index) => index + 1);
  try {
    const Parts = await pLimit(PARALLEL).map(numbers, async (PartNumber) => {
      const start = (PartNumber - 1) * partSize;
      const command = new UploadPartCopyCommand({
        ...upload,
        PartNumber,
        CopySource: copySource(bucket, from),
        CopySourceIfMatch: source.ETag,
        CopySourceRange: `bytes=${start}-${Math.min(start + partSize, size) - 1}`,
      });
      const { CopyPartResult } = await client.send(command, { abortSignal: copying });
      return { PartNumber, ETag: CopyPartResult?.ETag };
    });
    await client.send(new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts } }), {
      abortSignal: copying,
    });
  } catch (error) {
    failed.abort(error);
    await client.send(new AbortMultipartUploadCommand(upload)).catch(() => undefined);
    throw error;
  }
}

/** An object of the bucket as a source. */
export function objectSource({ client, name }: Bucket, key: string, size: number): Source {
  return {
    size,
    async open(offset, signal) {
      const command = new GetObjectCommand({ Bucket: name, Key: key, Range: `bytes=${offset}-` });
      const { Body } = await client.send(command, signal ? { abortSignal: signal } : {});
      return readBody(Body, signal);
    },
  };
}

function copySource(bucket: Bucket, key: string): string {
  return `${bucket.name}/${key.split('/').map(encodeURIComponent).join('/')}`;
}
