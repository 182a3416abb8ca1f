import { AppError } from '#errors';
import type { StagingRecords } from '#queues/staging.ts';
import { requireState } from './staging.ts';

/**
 * Runs `work` with staged bytes taken for a batch, so that no other upload takes them too; gives them back when it
 * fails, unless its jobs may run. Throws `CONFLICT` or `GONE` for bytes that are not to be had, and what `work` throws.
 */
export async function withStaged<T>(
  records: StagingRecords,
  stagingIds: readonly string[],
  batchId: string,
  work: () => Promise<T>,
): Promise<T> {
  try {
    for (const stagingId of stagingIds) {
      if (await records.use(stagingId, batchId)) continue;
      requireState({ stagingId }, (await records.get(stagingId))?.state);
    }
    return await work();
  } catch (error) {
    const mayRun = error instanceof AppError && error.details.mayRun === true;
    if (!mayRun) await Promise.allSettled(stagingIds.map((stagingId) => records.giveBack(stagingId, batchId)));
    throw error;
  }
}
