import pLimit from 'p-limit';
import type { StagingRecords } from '#queues/staging.ts';
import { requireState } from './staging.ts';

const AT_ONCE = 32;

/**
 * Takes staged bytes for a batch, so that no other upload takes them too; may be repeated for the same batch. Throws
 * `CONFLICT`, `STAGING_INCOMPLETE` or `GONE` for bytes that are not to be had.
 */
export async function takeStaged(
  records: StagingRecords,
  stagingIds: readonly string[],
  batchId: string,
): Promise<void> {
  await pLimit(AT_ONCE).map(stagingIds, async (stagingId) => {
    if (await records.use(stagingId, batchId)) return;
    requireState({ stagingId }, (await records.get(stagingId))?.state);
  });
}

/** Gives back what a batch took that came to nothing. */
export async function giveBackStaged(
  records: StagingRecords,
  stagingIds: readonly string[],
  batchId: string,
): Promise<void> {
  await Promise.allSettled(stagingIds.map((stagingId) => records.giveBack(stagingId, batchId)));
}
