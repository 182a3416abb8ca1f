import type { StoredFacts } from '#domain';
import { AppError } from '#errors';
import type { PackFile } from '#queues/catalog.ts';
import { quarantineKey } from '#storage/keys.ts';
import type { PutOptions, Store } from '#storage/store.ts';
import type { UploadParts } from './upload.ts';
import { storeFile } from './upload-file.ts';

interface RestorePorts {
  readonly store: Pick<Store, 'head' | 'copy' | 'deleteMany'>;
  readonly metadata: { removeQuarantined(keys: readonly string[]): Promise<void> };
}

/**
 * What was stored before a replay, in service again: still at its key, or brought back from quarantine when its bytes are
 * those that were verified. Undefined when it is neither: then the file is stored anew. `signals` are those of the run.
 */
export async function restoreStored(
  { store, metadata }: RestorePorts,
  { s3Key, lock, assetId, filename }: Pick<PackFile, 's3Key' | 'lock' | 'assetId' | 'filename'>,
  stored: StoredFacts & { readonly contentType: string },
  signals: Pick<PutOptions, 'signal' | 'park'>,
): Promise<StoredFacts | undefined> {
  const quarantined = quarantineKey(s3Key);
  const held = await store.head(quarantined);
  const isThere = isSame(await store.head(s3Key), stored);
  if (held === undefined) return isThere ? stored : undefined;
  const { contentType, checksum } = stored;
  const options = { contentType, checksum, filename, lock, metadata: { 'asset-id': assetId }, ...signals };
  const restored = isThere ? stored : await copyBack(store, quarantined, s3Key, options);
  if (restored === undefined) return undefined;
  // The note goes first: whoever finds the object still there comes here again.
  await metadata.removeQuarantined([s3Key]);
  await store.deleteMany([quarantined]);
  return { ...restored, contentType };
}

/**
 * What a replay makes of a file that was stored before it. Throws `ORIGIN_NOT_FOUND` when nothing is left of it, nor of
 * the bytes it came from.
 */
export async function storeAgain(parts: UploadParts, file: PackFile, known: StoredFacts): Promise<StoredFacts> {
  const { ports, run, signal, state } = parts;
  const typed = { ...known, contentType: known.contentType ?? file.contentType };
  const restored = await restoreStored(ports, file, typed, { signal, park: run.park });
  if (restored) return restored;
  await state.noteStored(file.assetId, undefined);
  return storeFile(parts, file).catch((error: unknown) => {
    const isGone = error instanceof AppError && error.code === 'ORIGIN_NOT_FOUND' && file.origin.kind === 'staged';
    if (!isGone) throw error;
    throw new AppError('ORIGIN_NOT_FOUND', GONE, { nextAction: 'Upload the file again.', cause: error });
  });
}

const GONE = 'The store has neither the file, which it had before, nor the staged bytes that it came from.';

function isSame(object: Awaited<ReturnType<Store['head']>>, { size, checksum }: StoredFacts): boolean {
  return object?.size === size && (object.checksum === undefined || object.checksum === checksum);
}

/** What is in quarantine because its bytes were wrong stays there. */
async function copyBack(
  store: RestorePorts['store'],
  from: string,
  to: string,
  options: PutOptions,
): Promise<StoredFacts | undefined> {
  try {
    return await store.copy(from, to, options);
  } catch (error) {
    const isOther =
      error instanceof AppError && ['NOT_FOUND', 'CHECKSUM_MISMATCH', 'SIZE_MISMATCH'].includes(error.code);
    if (isOther) return undefined;
    throw error;
  }
}
