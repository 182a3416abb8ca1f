import type { Logger } from '#log';
import type { Store } from '#storage/store.ts';

/** Deletes what a request staged that came to nothing. What a failure here leaves behind is logged, and stays. */
export async function dropStaged(store: Store, keys: readonly string[], log: Logger): Promise<void> {
  if (keys.length === 0) return;
  await store.deleteMany(keys).catch((err: unknown) => log.warn({ err, keys }, 'Staged bytes were left behind'));
}
