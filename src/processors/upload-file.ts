import type { StoredFacts } from '#domain';
import { AppError, isErrorCode } from '#errors';
import type { PackFile } from '#queues/catalog.ts';
import { PACKING } from '#queues/packing.ts';
import type { PutOptions } from '#storage/store.ts';
import { assetFacts } from './status-reporter.ts';
import type { UploadParts } from './upload.ts';

/**
 * Brings a file's bytes to their final key, verified there. Whole staged objects are copied inside the store,
 * everything else is streamed.
 */
export async function storeFile(parts: UploadParts, file: PackFile): Promise<StoredFacts> {
  const { ports, pack, run, state, reporter } = parts;
  const { origin, s3Key } = file;
  const options: PutOptions = {
    contentType: file.contentType,
    checksum: file.checksum,
    filename: file.filename,
    maxSize: run.lane === 'small' && file.size === undefined ? PACKING.unknownFile : undefined,
    metadata: { 'asset-id': file.assetId },
    signal: run.signal,
    onProgress: (bytes) => reporter.progress(file, bytes, file.size),
    // Files that share a pack are small: sent whole, they have nothing to go on with.
    journal: pack.files.length === 1 ? state.journal(file.assetId) : undefined,
  };
  const whole = origin.kind === 'staged' && origin.slice === undefined;
  const stored = whole
    ? await ports.store.copy(origin.key, s3Key, options).catch(missingOrigin)
    : await ports.store.put(s3Key, await ports.openOrigin(file), options);
  if (file.size !== undefined && stored.size !== file.size) {
    throw new AppError('SIZE_MISMATCH', `${file.filename} has ${stored.size} bytes, ${file.size} were announced.`);
  }
  return stored;
}

/** A key the store does not know is, for an upload, an origin that is gone. */
function missingOrigin(error: unknown): never {
  if (!(error instanceof AppError && error.code === 'NOT_FOUND')) throw error;
  throw new AppError('ORIGIN_NOT_FOUND', 'The staged bytes are not in the store.', { cause: error });
}

/** Makes a stored file `ready` in Convex. Throws what Convex said of this one file. */
export async function commitFile(
  { ports, pack, run }: UploadParts,
  file: PackFile,
  stored: StoredFacts,
): Promise<void> {
  const { url, expiresAt } = await ports.store.signGet(stored.s3Key, { expiresInSeconds: ports.urlSeconds });
  const result = await ports.commit({
    facts: assetFacts(pack, file, run.jobId),
    stored,
    url: { s3Url: url, urlExpiresAt: expiresAt },
    uploadedAt: ports.now(),
    attempt: run.attempt,
    maxAttempts: run.maxAttempts,
  });
  if (result.ok) return;
  const { code, message, details } = result.error;
  throw new AppError(isErrorCode(code) ? code : 'METADATA_REJECTED', message, { details: { ...details } });
}
