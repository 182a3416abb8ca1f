import { type AppError, toAppError } from '#errors';
import type { Logger } from '#log';
import type { Store } from '#storage/store.ts';

interface DeletePorts {
  readonly store: Pick<Store, 'deleteMany'>;
  readonly log: Logger;
}

/**
 * Deletes objects that nobody needs any more. Answers why that failed, and throws nothing: no file fails for bytes that
 * are too many. What a store refuses to give up stays in it, with a warning that names the `batchId`.
 */
export async function deleteNeedless(
  { store, log }: DeletePorts,
  keys: readonly string[],
  { batchId, what }: { batchId: string; what: string },
): Promise<AppError | undefined> {
  if (keys.length === 0) return undefined;
  try {
    await store.deleteMany(keys);
    return undefined;
  } catch (thrown) {
    const error = toAppError(thrown);
    log.warn({ err: error, batchId, keys: keys.length }, `${what} were left behind`);
    return error;
  }
}
