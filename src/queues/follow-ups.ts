import { type Keep, keepOnMaster } from '#redis/replicas.ts';
import { JOBS, type Pack } from './catalog.ts';
import { endJobId, recountId } from './ids.ts';
import { jobOptions, type Lanes } from './lanes.ts';
import type { PendingPacks } from './pending-packs.ts';

/** Jobs that jobs add. Ids are derived, so adding one twice is adding it once. */
export interface FollowUps {
  /**
   * The job that closes a batch. Each start of a replayed pack names one of its own, since an earlier one may be a dead
   * letter; those asked for while one waits are that one, and one that is at work is followed by another.
   */
  endBatch(batchId: string, correlationId: string, replay?: string): Promise<void>;
  /** The job that brings a session's totals up to date. Those asked for while one waits are that one. */
  recount(project: string, session: string): Promise<void>;
  /** The same pack under the same id in lane `large`, for a file that turned out to be too big for `small`. */
  moveToLarge(jobId: string, pack: Pack): Promise<void>;
}

/** Batches of one session that end within so many milliseconds are counted together. */
const RECOUNT_AFTER = 3_000;
/** A replay of many packs of one batch ends it once in so many milliseconds: each end reads the whole of it. */
const END_AGAIN_AFTER = 500;

/** With `keep`, a job counts as added once it outlives a failover. */
export function createFollowUps(lanes: Lanes, pending: PendingPacks, keep: Keep = keepOnMaster): FollowUps {
  return {
    async endBatch(batchId, correlationId, replay) {
      // Not kept when done: the same job may be needed again.
      const again = { delay: END_AGAIN_AFTER, deduplication: { id: endJobId(batchId), keepLastIfActive: true } };
      const options = {
        ...jobOptions('batch-end', endJobId(batchId, replay)),
        ...{ removeOnComplete: true, ...(replay !== undefined && again) },
      };
      await keep([lanes.maintenance.qualifiedName], () =>
        lanes.maintenance.add('batch-end', { batchId, correlationId }, options),
      );
    },
    async recount(project, session) {
      const id = recountId(project, session);
      await lanes.maintenance.add(
        'recount',
        { project, session },
        {
          ...{ attempts: JOBS.recount.attempts, backoff: { type: 'catalog' }, removeOnComplete: true },
          // One that is at work may have counted already what this one is for: then another follows it.
          ...{ delay: RECOUNT_AFTER, deduplication: { id, keepLastIfActive: true } },
        },
      );
    },
    async moveToLarge(jobId, pack) {
      const [priority = 1] = await pending.add('large', pack.entity.project, [{ jobId, size: 0 }]);
      await keep([lanes.large.qualifiedName], () =>
        lanes.large.add('upload', pack, { ...jobOptions('upload', jobId), priority }),
      );
    },
  };
}
