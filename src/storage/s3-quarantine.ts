import { DeleteObjectCommand, type HeadObjectCommandOutput } from '@aws-sdk/client-s3';
import { AppError } from '#errors';
import { quarantineKey } from './keys.ts';
import { type Bucket, headObject } from './s3-bucket.ts';
import { copyBytes } from './s3-copy-bytes.ts';
import { type ObjectHeaders, objectHeaders } from './s3-headers.ts';
import type { Abilities } from './s3-probe.ts';
import { objectSource } from './s3-read.ts';
import { streamBytes } from './s3-stream.ts';

/**
 * Copies the object, whatever its bytes are, to its key under `quarantine/`, with its type, name, metadata and encryption,
 * and deletes the original. A crash in between leaves both, and the next call does it again. Where the bucket keeps
 * versions, or a lock holds the object, the original stays as an old version under a delete marker. The lock itself is
 * not copied. False when there is no object.
 */
export async function quarantineStored(bucket: Bucket, abilities: Abilities, key: string): Promise<boolean> {
  const source = await headObject(bucket, key);
  if (source === undefined) return false;
  const to = quarantineKey(key);
  const size = source.ContentLength ?? 0;
  const headers = headersOf(bucket, to, source);
  if (!(await copyBytes(bucket, abilities, { from: key, to, source, headers }))) {
    await streamBytes(
      bucket,
      abilities,
      to,
      objectSource(bucket, key, size),
      { contentType: headers.ContentType },
      headers,
    );
  }
  const held = await headObject(bucket, to);
  if (held?.ContentLength !== size) {
    throw new AppError('STORE_UNAVAILABLE', 'The store did not keep the whole copy of an object to be quarantined.', {
      details: { key, size, held: held?.ContentLength },
    });
  }
  await bucket.client.send(new DeleteObjectCommand({ Bucket: bucket.name, Key: key }));
  return true;
}

/** The headers that an object shows, so that a copy of it shows them too. */
function headersOf(bucket: Bucket, to: string, source: HeadObjectCommandOutput): ObjectHeaders {
  const { ContentType = 'application/octet-stream', ContentDisposition, Metadata = {} } = source;
  const { ServerSideEncryption, SSEKMSKeyId } = source;
  return {
    ...objectHeaders(bucket.config, to, { contentType: ContentType }),
    ...(ServerSideEncryption && { ServerSideEncryption, ...(SSEKMSKeyId && { SSEKMSKeyId }) }),
    ...(ContentDisposition && { ContentDisposition }),
    Metadata,
  };
}
