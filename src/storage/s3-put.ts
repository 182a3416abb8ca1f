import { PutObjectCommand } from '@aws-sdk/client-s3';
import type { StoredFacts } from '#domain';
import { AppError } from '#errors';
import { measure } from './measured.ts';
import type { Bucket } from './s3-bucket.ts';
import { objectHeaders } from './s3-headers.ts';
import { type Multipart, type ResumableOptions, resumeMultipart, startMultipart } from './s3-multipart.ts';
import { createSlots, cutParts, type Part, parallelFor, partSizeFor } from './s3-parts.ts';
import type { Abilities } from './s3-probe.ts';
import { type Digest, verifyStored } from './s3-verify.ts';
import type { Journal, PutOptions, Source } from './store.ts';

/**
 * Streams a source into the bucket: whole when it fits one part, else as a multipart upload that another process can go
 * on with. Its parts are dropped when it fails for good. A signal aborted with a final error (`CANCELLED`) is for good;
 * any other reason (a lock that was lost, a shutdown) leaves the parts to whoever goes on with the job.
 */
export async function putResumable(
  bucket: Bucket,
  abilities: Abilities,
  key: string,
  source: Source,
  options: ResumableOptions,
): Promise<StoredFacts> {
  const { signal, lock } = options;
  const failed = new AbortController();
  const sending = AbortSignal.any([failed.signal, ...(signal ? [signal] : [])]);
  const journal = watchJournal(options.journal);
  let upload = await resumeMultipart(bucket, key, abilities, journal);
  const partSize = upload?.partSize ?? partSizeFor(source.size, bucket.limits.partSize, bucket.limits.parts);
  const slots = createSlots(parallelFor(partSize), Math.min(partSize, source.size ?? partSize));
  const measured = measure(source, options);
  const digests: Digest[] = [];
  let sent = 0;

  async function send(part: Part, target: Multipart | undefined): Promise<void> {
    if (target) await target.send(part, sending);
    else await putWhole(bucket, abilities, key, part, options);
    sent += part.bytes.length;
    options.onProgress?.(sent);
  }

  try {
    for await (const part of cutParts(measured.chunks, partSize, abilities, slots.take)) {
      digests.push(part.digest);
      if (!part.last) upload ??= await startMultipart(bucket, key, partSize, abilities, { ...options, journal });
      slots.run(part.bytes, send(part, upload));
    }
    await slots.finish();
    await upload?.complete(sending);
  } catch (error) {
    failed.abort(error);
    await slots.settle();
    if (!journal.lost() && isFinal(signal?.aborted ? signal.reason : error)) await upload?.abort();
    throw error;
  }
  const { size, checksum } = measured.facts();
  return verifyStored(
    bucket,
    key,
    { size, checksum, parts: digests, multipart: upload !== undefined },
    { signal, lock },
  );
}

/** True when nobody will go on with the work: an error of ours that a retry does not mend, such as `CANCELLED`. */
function isFinal(error: unknown): boolean {
  return error instanceof AppError && !error.retryable;
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

/** Remembers that a write was refused: the job is another's now, and so are the parts. */
function watchJournal(journal: Journal): Journal & { lost(): boolean } {
  let lost = false;
  return {
    read: () => journal.read(),
    async write(fields) {
      try {
        await journal.write(fields);
      } catch (error) {
        lost = true;
        throw error;
      }
    },
    lost: () => lost,
  };
}
