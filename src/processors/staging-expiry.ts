import type { StagingRecords } from '#queues/staging.ts';
import type { Store } from '#storage/store.ts';
import type { Processor } from './run.ts';

export interface StagingExpiryPorts {
  readonly staging: StagingRecords;
  readonly store: Pick<Store, 'direct' | 'deleteMany'>;
}

/** Ends what nobody used in time, and cleans up behind what its owner gave up. Bytes that an upload uses stay. */
export function stagingExpiryProcessor({ staging, store }: StagingExpiryPorts): Processor<'staging-expiry'> {
  return async ({ stagingId }) => {
    const state = await staging.move(stagingId, 'expired');
    const record = await staging.get(stagingId);
    if (!record || (state !== 'expired' && state !== 'aborted')) return { end: 'done' };
    const { key, uploadId } = record;
    if (uploadId !== undefined) await store.direct.abort({ key, uploadId });
    await store.deleteMany([key]);
    return { end: 'done' };
  };
}
