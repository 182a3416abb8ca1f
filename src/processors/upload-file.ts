import type { StoredFacts } from '#domain';
import { AppError } from '#errors';
import type { PackFile } from '#queues/catalog.ts';
import { PACKING } from '#queues/packing.ts';
import { putSpooled } from '#storage/spool.ts';
import type { Source } from '#storage/store.ts';
import { copyTyped, putTyped } from '#storage/typed.ts';
import { unlessAborted } from '#storage/unless-aborted.ts';
import { spoolOf } from './spools.ts';
import { watchTime } from './time-allowance.ts';
import type { UploadParts } from './upload.ts';

/**
 * Brings a file's bytes to their final key, verified there. Whole staged objects are copied inside the store,
 * everything else is streamed, by way of staging where the origin can be read in one go only. Throws `TIMED_OUT` when it takes longer than it may, and `STORE_UNAVAILABLE` when that is
 * for a store that answered nothing.
 */
export async function storeFile(parts: UploadParts, file: PackFile): Promise<StoredFacts> {
  const { ports, pack, run, state, reporter } = parts;
  const { origin, s3Key } = file;
  const whole = origin.kind === 'staged' && origin.slice === undefined;
  let waitsFor: 'origin' | 'store' = whole ? 'store' : 'origin';
  let answered = false;
  // By the signal's reason, so that the store's breaker hears of it too.
  const reason = (timedOut: AppError) => (waitsFor === 'store' && !answered ? silentStore(timedOut) : timedOut);
  const time = watchTime(ports.allowance, () => performance.now(), reason);
  // The store says nothing of a copy while it makes it.
  if (whole && file.size !== undefined) time.moved(file.size);
  const signal = AbortSignal.any([parts.signal, time.signal]);
  const opening = AbortSignal.any([signal, run.park]);
  const options = {
    contentType: file.contentType,
    typeGuessed: file.typeGuessed,
    checksum: file.checksum,
    filename: file.filename,
    maxSize: run.lane === 'small' && file.size === undefined ? PACKING.unknownFile : undefined,
    metadata: { 'asset-id': file.assetId },
    lock: file.lock,
    signal,
    park: run.park,
    // Several parts travel at once, and none counts before all of it is there: what was read is on its way.
    onRead: (bytes: number) => time.moved(bytes),
    onWait(whom: 'origin' | 'store') {
      waitsFor = whom;
    },
    onProgress(bytes: number) {
      answered ||= bytes > 0;
      time.moved(bytes);
      reporter.progress(file, bytes, file.size);
    },
    // Files that share a pack are small: sent whole, they have nothing to go on with.
    journal: pack.files.length === 1 ? state.journal(file.assetId) : undefined,
  };
  const spool = spoolOf(parts, file);
  const streamed = (source: Source) =>
    spool ? putSpooled(ports.store, s3Key, source, options, spool) : putTyped(ports.store, s3Key, source, options);
  try {
    const stored = whole
      ? await copyTyped(ports.store, origin.key, s3Key, options).catch(missingOrigin)
      : await streamed(await unlessAborted(opening, ports.openOrigin(file)));
    if (file.size !== undefined && stored.size !== file.size) {
      throw new AppError('SIZE_MISMATCH', `${file.filename} has ${stored.size} bytes, ${file.size} were announced.`);
    }
    return stored;
  } finally {
    time.stop();
  }
}

/** What waiting for too long becomes: a store that owes an answer, and gave none in all that time, is away. */
function silentStore(cause: unknown): AppError {
  return new AppError('STORE_UNAVAILABLE', 'The store took the file and gave no answer in the time it has.', { cause });
}

/** A key the store does not know is, for an upload, an origin that is gone. */
function missingOrigin(error: unknown): never {
  if (!(error instanceof AppError && error.code === 'NOT_FOUND')) throw error;
  throw new AppError('ORIGIN_NOT_FOUND', 'The staged bytes are not in the store.', { cause: error });
}
