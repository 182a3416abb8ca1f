import type { StoredFacts } from '#domain';
import type { Disk } from './disk-open.ts';
import {
  abandonParts,
  beginParts,
  journaledUpload,
  type PartFile,
  reopenParts,
  StartAnew,
  type UploadRecord,
} from './disk-parts.ts';
import { openObject } from './disk-read.ts';
import { assertHeld, assertUnlocked, hashFile, publish, storeMeasured } from './disk-write.ts';
import { isFinal, type ResumableOptions, stopOf, watchJournal } from './journal.ts';
import { measure } from './measured.ts';
import { createSlots, cutParts, partSizeFor } from './parts.ts';
import type { PutOptions, Source } from './store.ts';
import { isMissing } from './system-error.ts';

const PART_SIZE = 8 * 1024 ** 2;
/** Keeps the journal short. */
const MOST_PARTS = 10_000;
/** One part is written while the next is read. */
const PARALLEL = 2;
/** A part is compared with the source's own bytes: its SHA-256 is all that is noted of it. */
const PROOF = { sha256: true, md5Etag: false };

/**
 * Writes a source to its key: at once when it fits one part, else part by part into a file that another process can go on
 * with. That one reads the source again, and writes only the parts that the file does not hold. What was begun is
 * removed when the put fails for good.
 */
export async function putResumable(
  disk: Disk,
  key: string,
  source: Source,
  options: ResumableOptions,
): Promise<StoredFacts> {
  disk.tree.pathOf(key);
  assertUnlocked(options);
  const journal = watchJournal(options.journal);
  const nextReading = readingsOf({ ...options, journal });
  try {
    const begun = await journaledUpload(key, journal);
    const facts = begun && (await goOn(disk, begun, source, nextReading()));
    return facts ?? (await fill(disk, key, source, nextReading(), undefined));
  } catch (error) {
    if (!journal.lost() && isFinal(options, error)) await abandonParts(disk, key, journal).catch(() => undefined);
    throw error;
  }
}

/** Goes on with an upload from before; undefined when nothing can be built upon it, and then it is removed. */
async function goOn(
  disk: Disk,
  upload: UploadRecord,
  source: Source,
  options: ResumableOptions,
): Promise<StoredFacts | undefined> {
  const { key } = upload;
  try {
    const file = await reopenParts(disk, upload, options.journal);
    if (file) return await fill(disk, key, source, options, file);
    const facts = await findStored(disk, key, source, options);
    await disk.uploads.end(upload);
    return facts;
  } catch (error) {
    if (!(error instanceof StartAnew)) throw error;
    await disk.uploads.end(upload);
    return undefined;
  }
}

async function fill(
  disk: Disk,
  key: string,
  source: Source,
  options: ResumableOptions,
  reopened: PartFile | undefined,
): Promise<StoredFacts> {
  const partSize = reopened?.upload.partSize ?? partSizeFor(source.size, PART_SIZE, MOST_PARTS);
  const slots = createSlots(PARALLEL, Math.min(partSize, source.size ?? partSize));
  const { chunks, facts } = measure(source, options);
  let file = reopened;
  let held = 0;
  try {
    for await (const part of cutParts(chunks, partSize, PROOF, slots.take)) {
      if (part.last && !file) return await storeMeasured(disk, key, { chunks: [part.bytes], facts }, options);
      file ??= await beginParts(disk, key, partSize, options.journal);
      const holding = file.hold(part).then(() => {
        held += part.bytes.length;
        options.onProgress?.(held);
      });
      slots.run(part.bytes, holding);
    }
    await slots.finish();
    if (!file) throw new Error('A source always has a last part.');
    return await finish(disk, file, facts(), options, reopened !== undefined);
  } finally {
    await slots.settle();
    await file?.handle.close();
  }
}

/** Reads the file back and makes it the object. */
async function finish(
  disk: Disk,
  { handle, upload }: PartFile,
  facts: { size: number; checksum: string },
  options: PutOptions,
  isReopened: boolean,
): Promise<StoredFacts> {
  const { key, uploadId } = upload;
  // A longer source may have left more behind.
  await handle.truncate(facts.size);
  await handle.datasync();
  const held = await hashFile(handle, facts.size, { signal: options.signal });
  if (isReopened && held !== facts.checksum) throw new StartAnew();
  assertHeld(held, facts.checksum);
  const stored = await publish(disk, key, disk.uploads.pathOf(uploadId), facts, options).catch(
    async (error: unknown) => {
      const found = isMissing(error) && (await storedAlready(disk, key, facts, options));
      if (!found) throw error;
      // Another process went on with the same upload, and was faster.
      return found;
    },
  );
  await disk.uploads.end(upload);
  return stored;
}

/** The object of a put that came to its end, and whose process did not live to say so. Throws `StartAnew` without it. */
async function findStored(disk: Disk, key: string, source: Source, options: PutOptions): Promise<StoredFacts> {
  const there = await openObject(disk.tree, key);
  await there?.handle.close();
  if (!there || (source.size ?? there.meta.size) !== there.meta.size) throw new StartAnew();
  const { chunks, facts } = measure(source, options);
  let done = 0;
  for await (const { length } of chunks) {
    done += length;
    options.onProgress?.(done);
  }
  const stored = await storedAlready(disk, key, facts(), options);
  if (stored === undefined) throw new StartAnew();
  return stored;
}

/** Facts of the object at `key`, when it is whole and the one of these. */
async function storedAlready(
  disk: Disk,
  key: string,
  { size, checksum }: { size: number; checksum: string },
  { signal }: PutOptions,
): Promise<StoredFacts | undefined> {
  const found = await openObject(disk.tree, key);
  if (found === undefined) return undefined;
  const { handle, meta } = found;
  try {
    const isLike = meta.checksum === checksum && (await handle.stat()).size === size;
    const isSame = isLike && (await hashFile(handle, size, { signal })) === checksum;
    return isSame ? { s3Key: key, size, checksum, verifiedBy: 'readback' } : undefined;
  } finally {
    await handle.close();
  }
}

/** Options for each reading of the source in turn: progress never falls, and what is read adds up. */
function readingsOf(options: ResumableOptions): () => ResumableOptions {
  let most = 0;
  let read = 0;
  return () => {
    const before = read;
    return {
      ...options,
      // Parts on their way to the disk are not interrupted.
      signal: stopOf(options),
      onProgress(bytes) {
        most = Math.max(most, bytes);
        options.onProgress?.(most);
      },
      onRead(bytes) {
        read = before + bytes;
        options.onRead?.(read);
      },
    };
  };
}
