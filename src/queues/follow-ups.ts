import type { Pack } from './catalog.ts';
import { endJobId } from './ids.ts';
import { jobOptions, type Lanes } from './lanes.ts';
import type { PendingPacks } from './pending-packs.ts';

/** Jobs that jobs add. Ids are derived, so adding one twice is adding it once. */
export interface FollowUps {
  /** The job that closes a batch. */
  endBatch(batchId: string, correlationId: string): Promise<void>;
  /** The same pack under the same id in lane `large`, for a file that turned out to be too big for `small`. */
  moveToLarge(jobId: string, pack: Pack): Promise<void>;
}

export function createFollowUps(lanes: Lanes, pending: PendingPacks): FollowUps {
  return {
    async endBatch(batchId, correlationId) {
      // Not kept when done: a replay closes the batch again under the same id.
      const options = { ...jobOptions('batch-end', endJobId(batchId)), removeOnComplete: true };
      await lanes.maintenance.add('batch-end', { batchId, correlationId }, options);
    },
    async moveToLarge(jobId, pack) {
      const [priority = 1] = await pending.add('large', pack.entity.project, [jobId]);
      await lanes.large.add('upload', pack, { ...jobOptions('upload', jobId), priority });
    },
  };
}
