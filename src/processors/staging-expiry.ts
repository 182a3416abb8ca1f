import type { Batches } from '#queues/batches.ts';
import type { StagingRecord, StagingRecords } from '#queues/staging.ts';
import { dropDirect } from '#storage/direct-uploads.ts';
import type { Store } from '#storage/store.ts';
import type { Processor } from './run.ts';

interface StagingExpiryPorts {
  readonly staging: StagingRecords;
  readonly batches: Pick<Batches, 'wasAccepted'>;
  readonly store: Pick<Store, 'direct' | 'deleteMany'>;
}

/**
 * Ends what nobody used in time, and cleans up behind requests that came late. Bytes that an accepted upload uses stay
 * with it; those of one that never came about are nobody's.
 */
export function stagingExpiryProcessor({ staging, batches, store }: StagingExpiryPorts): Processor<'staging-expiry'> {
  async function expire({ stagingId, batchId }: StagingRecord): Promise<boolean> {
    if (batchId !== undefined && !(await batches.wasAccepted(batchId))) await staging.giveBack(stagingId, batchId);
    const state = await staging.move(stagingId, 'expired');
    return state === 'expired' || state === 'aborted';
  }

  return async ({ stagingId }) => {
    const record = await staging.get(stagingId);
    if (!record) return { end: 'done' };
    const isOver = await expire(record);
    await dropDirect(store, record);
    if (isOver) await store.deleteMany([record.key]);
    return { end: 'done' };
  };
}
