import type { StoredFacts } from '#domain';
import { AppError } from '#errors';
import { assertChecksum, assertSize } from './measured.ts';
import { type Bucket, headObject, storedChecksum } from './s3-bucket.ts';
import { copyBytes } from './s3-copy-bytes.ts';
import { objectHeaders } from './s3-headers.ts';
import type { Abilities } from './s3-probe.ts';
import { objectSource } from './s3-read.ts';
import { streamBytes } from './s3-stream.ts';
import { verifyStored } from './s3-verdict.ts';
import { hashStored } from './s3-verify.ts';
import type { PutOptions } from './store.ts';

/** Copies inside the store, as `copyBytes` does, or through us where the store cannot; then verifies the copy. */
export async function copyStored(
  bucket: Bucket,
  abilities: Abilities,
  from: string,
  to: string,
  options: PutOptions,
): Promise<StoredFacts> {
  const { signal, park, journal, lock } = options;
  signal?.throwIfAborted();
  const source = await headObject(bucket, from);
  if (source === undefined) throw new AppError('NOT_FOUND', 'There is no object to copy.', { details: { key: from } });
  const size = source.ContentLength ?? 0;
  assertSize(size, options.maxSize);
  const known = storedChecksum(source);
  if (known !== undefined) assertChecksum(known, options.checksum);
  const checksum = options.checksum?.toLowerCase() ?? known ?? (await hashStored(bucket, from, { signal }));
  const described = { ...options, checksum };
  const headers = objectHeaders(bucket.config, to, described);
  // What was only announced of the original may be what is wrong.
  const quarantine = known !== undefined || options.checksum === undefined;
  const isCopied = await copyBytes(bucket, abilities, { from, to, source, headers, signal, park, journal });
  if (!isCopied) {
    const sent = await streamBytes(bucket, abilities, to, objectSource(bucket, from, size), described);
    return verifyStored(bucket, abilities, to, sent, { signal, lock, journal });
  }
  const expected = { size, checksum, parts: [], multipart: false };
  const facts = await verifyStored(bucket, abilities, to, expected, { ...options, quarantine });
  options.onProgress?.(size);
  return facts;
}
