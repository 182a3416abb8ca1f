import { AbortMultipartUploadCommand, ListMultipartUploadsCommand } from '@aws-sdk/client-s3';
import { z } from 'zod';
import { compareKeys } from './disk-list.ts';
import type { Bucket } from './s3-bucket.ts';
import { isVanished } from './s3-errors.ts';
import type { OpenUpload } from './store.ts';

/** The most that S3 lists in one request. */
const PAGE = 1_000;

/** Where a page ended: the store goes on after this upload of this key. */
type Marker = { readonly key: string; readonly uploadId: string | undefined };

const markerSchema = z.tuple([z.string(), z.string().nullable()]);

/**
 * One page of the bucket's open multipart uploads, those of copies and of direct uploads too. The order of pages is the
 * store's: byte order of keys on S3, where RGW has keys that begin alike one for another. A store that repeats its marker
 * would be asked for ever; that is its end.
 */
export async function listUploads(
  { client, name }: Bucket,
  prefix: string,
  { after, limit = PAGE }: { after?: string | undefined; limit?: number },
): Promise<{ uploads: OpenUpload[]; next?: string | undefined }> {
  const MaxUploads = Math.min(limit, PAGE);
  let marker = readMarker(after);
  for (;;) {
    const answer = await client.send(
      new ListMultipartUploadsCommand({
        Bucket: name,
        Prefix: prefix,
        MaxUploads,
        KeyMarker: marker?.key,
        UploadIdMarker: marker?.uploadId,
      }),
    );
    const uploads = (answer.Uploads ?? []).map(({ Key = '', UploadId = '', Initiated }) => ({
      ...{ key: Key, uploadId: UploadId, startedAt: Initiated?.getTime() ?? 0 },
    }));
    const last = uploads.at(-1);
    const { NextKeyMarker: key = last?.key, NextUploadIdMarker: uploadId = last?.uploadId } = answer;
    const next = answer.IsTruncated && key ? { key, uploadId } : undefined;
    const goesOn = next && !(next.key === marker?.key && next.uploadId === marker.uploadId) ? next : undefined;
    // A page may be empty and still not the last.
    if (uploads.length > 0 || goesOn === undefined) {
      uploads.sort((a, b) => compareKeys(a.key, b.key));
      return { uploads, next: goesOn && JSON.stringify([goesOn.key, goesOn.uploadId ?? null]) };
    }
    marker = goesOn;
  }
}

/** Ends an upload with all its parts; one that is over is fine. */
export async function abortUpload(
  { client, name }: Bucket,
  { key, uploadId }: Pick<OpenUpload, 'key' | 'uploadId'>,
): Promise<void> {
  const upload = { Bucket: name, Key: key, UploadId: uploadId };
  await client.send(new AbortMultipartUploadCommand(upload)).catch((error: unknown) => {
    if (!isVanished(error)) throw error;
  });
}

function readMarker(after: string | undefined): Marker | undefined {
  if (after === undefined) return undefined;
  const [key, uploadId] = markerSchema.parse(JSON.parse(after));
  return { key, uploadId: uploadId ?? undefined };
}
