import { AppError } from '#errors';
import type { Logger } from '#log';
import type { Store } from '#storage/store.ts';

/**
 * Deletes what a request staged before it failed. Jobs that may run all the same need their bytes: those stay,
 * and what nobody comes for a sweep finds.
 */
export async function dropStaged(store: Store, keys: readonly string[], failure: unknown, log: Logger): Promise<void> {
  if (keys.length === 0) return;
  if (failure instanceof AppError && failure.details.mayRun === true) return;
  await store.deleteMany(keys).catch((err: unknown) => log.warn({ err, keys }, 'Staged bytes were left behind'));
}
