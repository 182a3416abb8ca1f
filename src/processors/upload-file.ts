import type { StoredFacts } from '#domain';
import { AppError } from '#errors';
import type { PackFile } from '#queues/catalog.ts';
import { PACKING } from '#queues/packing.ts';
import { copyTyped, putTyped } from '#storage/typed.ts';
import { watchTime } from './time-allowance.ts';
import type { UploadParts } from './upload.ts';

/**
 * Brings a file's bytes to their final key, verified there. Whole staged objects are copied inside the store,
 * everything else is streamed. Throws `TIMED_OUT` when it takes longer than it may.
 */
export async function storeFile(parts: UploadParts, file: PackFile): Promise<StoredFacts> {
  const { ports, pack, run, state, reporter } = parts;
  const { origin, s3Key } = file;
  const whole = origin.kind === 'staged' && origin.slice === undefined;
  const time = watchTime(ports.allowance, () => performance.now());
  // The store says nothing of a copy while it makes it.
  if (whole && file.size !== undefined) time.moved(file.size);
  const signal = AbortSignal.any([parts.signal, time.signal]);
  const options = {
    contentType: file.contentType,
    typeGuessed: file.typeGuessed,
    checksum: file.checksum,
    filename: file.filename,
    maxSize: run.lane === 'small' && file.size === undefined ? PACKING.unknownFile : undefined,
    metadata: { 'asset-id': file.assetId },
    lock: file.lock,
    signal,
    onProgress(bytes: number) {
      time.moved(bytes);
      reporter.progress(file, bytes, file.size);
    },
    // Files that share a pack are small: sent whole, they have nothing to go on with.
    journal: pack.files.length === 1 ? state.journal(file.assetId) : undefined,
  };
  try {
    const stored = whole
      ? await copyTyped(ports.store, origin.key, s3Key, options).catch(missingOrigin)
      : await putTyped(ports.store, s3Key, await unlessAborted(signal, ports.openOrigin(file)), options);
    if (file.size !== undefined && stored.size !== file.size) {
      throw new AppError('SIZE_MISMATCH', `${file.filename} has ${stored.size} bytes, ${file.size} were announced.`);
    }
    return stored;
  } finally {
    time.stop();
  }
}

/** What `opening` gives, or the reason of the abort if that is first: an origin that never answers stops nobody. */
async function unlessAborted<T>(signal: AbortSignal, opening: Promise<T>): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const stop = () => reject(signal.reason);
  if (signal.aborted) stop();
  signal.addEventListener('abort', stop, { once: true });
  return Promise.race([opening, aborted]).finally(() => signal.removeEventListener('abort', stop));
}

/** A key the store does not know is, for an upload, an origin that is gone. */
function missingOrigin(error: unknown): never {
  if (!(error instanceof AppError && error.code === 'NOT_FOUND')) throw error;
  throw new AppError('ORIGIN_NOT_FOUND', 'The staged bytes are not in the store.', { cause: error });
}
