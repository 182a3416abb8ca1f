import { PutObjectCommand } from '@aws-sdk/client-s3';
import type { StoredFacts } from '#domain';
import { isFinal, type ResumableOptions, stopOf, watchJournal } from './journal.ts';
import { measure } from './measured.ts';
import { createSlots, cutParts, type Part, parallelFor, partSizeFor } from './parts.ts';
import type { Bucket } from './s3-bucket.ts';
import type { Digest, Expected } from './s3-digest.ts';
import { objectHeaders } from './s3-headers.ts';
import { endUploads, type Multipart, resumeMultipart, startMultipart } from './s3-multipart.ts';
import type { Abilities } from './s3-probe.ts';
import { recogniseStored, verifyStored } from './s3-verdict.ts';
import type { PutOptions, Source } from './store.ts';

type WatchedOptions = ResumableOptions & { readonly journal: ReturnType<typeof watchJournal> };

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
  const { signal, lock } = options;
  const journal = watchJournal(options.journal);
  const begun = await resumeMultipart(bucket, key, abilities, journal);
  const joined = begun.joined && (await recogniseStored(bucket, key, begun.joined, { signal, lock }));
  if (joined) {
    options.onProgress?.(joined.size);
    return endOthers(bucket, key, joined);
  }
  let most = 0;
  const onProgress = (bytes: number) => {
    most = Math.max(most, bytes);
    options.onProgress?.(most);
  };
  const send = (upload?: Multipart) =>
    fill(bucket, abilities, key, source, { ...options, journal, onProgress }, upload);
  const expected = (await send(begun.upload)) ?? (await send());
  if (expected === undefined) throw new Error('A new upload has the parts that were sent, and no other.');
  const facts = await verifyStored(bucket, abilities, key, expected, { signal, lock, journal });
  return expected.multipart ? endOthers(bucket, key, facts) : facts;
}

/** One that was begun and noted by nobody, as when the answer was lost or the process died then, is needless now. */
async function endOthers(bucket: Bucket, key: string, facts: StoredFacts): Promise<StoredFacts> {
  await endUploads(bucket, key).catch(() => undefined);
  return facts;
}

/**
 * Sends what the store does not have yet of a source, and joins it. Nothing when nothing can be built upon `begun`, which
 * is dropped then.
 */
async function fill(
  bucket: Bucket,
  abilities: Abilities,
  key: string,
  source: Source,
  options: WatchedOptions,
  begun: Multipart | undefined,
): Promise<Expected | undefined> {
  const { signal, park, journal } = options;
  const failed = new AbortController();
  const sending = AbortSignal.any([failed.signal, ...(signal ? [signal] : [])]);
  let upload = begun;
  const partSize = upload?.partSize ?? partSizeFor(source.size, bucket.limits.partSize, bucket.limits.parts);
  const slots = createSlots(parallelFor(partSize), Math.min(partSize, source.size ?? partSize));
  const measured = measure(source, { ...options, signal: stopOf(options) });
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
      park?.throwIfAborted();
      digests.push(part.digest);
      if (!part.last) upload ??= await startMultipart(bucket, key, partSize, abilities, options);
      slots.run(part.bytes, send(part, upload));
    }
    await slots.finish();
    if (upload) {
      park?.throwIfAborted();
      if (upload.hasMore()) return void (await upload.abort());
      await upload.complete(measured.facts(), sending);
    }
  } catch (error) {
    // Parts on their way when the put is parked come to their end.
    if (error !== park?.reason) failed.abort(error);
    await slots.settle();
    // What cannot be dropped is left to who abandons the put, and to reconciliation.
    if (!journal.lost() && isFinal(options, error)) await upload?.abort().catch(() => undefined);
    throw error;
  }
  return { ...measured.facts(), parts: digests, multipart: upload !== undefined };
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
