import { PutObjectCommand } from '@aws-sdk/client-s3';
import type { StoredFacts } from '#domain';
import { isFinal, type ResumableOptions, stopOf, watchJournal } from './journal.ts';
import { measure } from './measured.ts';
import type { Bucket } from './s3-bucket.ts';
import type { Digest } from './s3-digest.ts';
import { objectHeaders } from './s3-headers.ts';
import { type Multipart, resumeMultipart, startMultipart } from './s3-multipart.ts';
import { createSlots, cutParts, type Part, parallelFor, partSizeFor } from './s3-parts.ts';
import type { Abilities } from './s3-probe.ts';
import { recogniseStored, verifyStored } from './s3-verdict.ts';
import type { PutOptions, Source } from './store.ts';

/**
 * Streams a source into the bucket: whole when it fits one part, else as a multipart upload that another process can go
 * on with. An upload that was joined by then, though nobody heard so, is recognised by what the journal says of it, and
 * the source is not read again. Its parts are dropped when it fails for good. A signal aborted with a final error
 * (`CANCELLED`) is for good; any other reason (a lock that was lost, a shutdown) leaves the parts to whoever goes on.
 */
export async function putResumable(
  bucket: Bucket,
  abilities: Abilities,
  key: string,
  source: Source,
  options: ResumableOptions,
): Promise<StoredFacts> {
  const { signal, park, lock, onProgress } = options;
  const journal = watchJournal(options.journal);
  const begun = await resumeMultipart(bucket, key, abilities, journal);
  const joined = begun.joined && (await recogniseStored(bucket, key, begun.joined, { signal, lock }));
  if (joined) {
    onProgress?.(joined.size);
    return joined;
  }
  const failed = new AbortController();
  const sending = AbortSignal.any([failed.signal, ...(signal ? [signal] : [])]);
  let upload = begun.upload;
  const partSize = upload?.partSize ?? partSizeFor(source.size, bucket.limits.partSize, bucket.limits.parts);
  const slots = createSlots(parallelFor(partSize), Math.min(partSize, source.size ?? partSize));
  const measured = measure(source, { ...options, signal: stopOf(options) });
  const digests: Digest[] = [];
  let sent = 0;

  async function send(part: Part, target: Multipart | undefined): Promise<void> {
    if (target) await target.send(part, sending);
    else await putWhole(bucket, abilities, key, part, options);
    sent += part.bytes.length;
    onProgress?.(sent);
  }

  try {
    for await (const part of cutParts(measured.chunks, partSize, abilities, slots.take)) {
      park?.throwIfAborted();
      digests.push(part.digest);
      if (!part.last) upload ??= await startMultipart(bucket, key, partSize, abilities, { ...options, journal });
      slots.run(part.bytes, send(part, upload));
    }
    await slots.finish();
    if (upload) {
      park?.throwIfAborted();
      await upload.complete(measured.facts(), sending);
    }
  } catch (error) {
    // Parts on their way when the put is parked come to their end.
    if (error !== park?.reason) failed.abort(error);
    await slots.settle();
    if (!journal.lost() && isFinal(options, error)) await upload?.abort();
    throw error;
  }
  const { size, checksum } = measured.facts();
  const expected = { size, checksum, parts: digests, multipart: upload !== undefined };
  return verifyStored(bucket, abilities, key, expected, { signal, lock });
}

async function putWhole(bucket: Bucket, abilities: Abilities, key: string, part: Part, options: PutOptions) {
  const { bytes, digest } = part;
  const command = new PutObjectCommand({
    Bucket: bucket.name,
    Key: key,
    Body: bytes,
    ...objectHeaders(bucket.config, key, { ...options, checksum: digest.sha256.toString('hex') }),
    ...(abilities.sha256 ? { ChecksumSHA256: digest.sha256.toString('base64') } : {}),
    ...(digest.md5 ? { ContentMD5: digest.md5.toString('base64') } : {}),
  });
  bucket.digests.set(bytes, digest.sha256);
  await bucket.client.send(command, options.signal ? { abortSignal: options.signal } : {});
}
