import type { RedisConnection } from '#redis/connection.ts';
import type { Lane } from './catalog.ts';
import { lanePrefix } from './lanes.ts';

/** BullMQ's lowest priority; ranks stop there. */
const LAST_RANK = 2 ** 21;
/** Should a removal get lost, a project's set is forgotten after a day without new packs. */
const TTL_SECONDS = 86_400;

/**
 * Which packs of a project wait in a lane: a set of job ids, so that adding and removing can be repeated.
 * A pack's priority is its rank in its project, which lets a newcomer's few packs pass a hog's thousands.
 */
export interface PendingPacks {
  /** Ranks for jobs about to be added, in order; 1 is first. */
  add(lane: Lane, project: string, jobIds: readonly string[]): Promise<number[]>;
  remove(lane: Lane, project: string, jobIds: readonly string[]): Promise<void>;
}

export function createPendingPacks(redis: RedisConnection, prefix: string): PendingPacks {
  const key = (lane: Lane, project: string) => `${lanePrefix(prefix, lane)}:pending:${project}`;
  return {
    async add(lane, project, jobIds) {
      const results = await redis
        .multi()
        .scard(key(lane, project))
        .sadd(key(lane, project), ...jobIds)
        .expire(key(lane, project), TTL_SECONDS)
        .exec();
      const waiting = Number(results?.[0]?.[1] ?? 0);
      return jobIds.map((_, index) => Math.min(LAST_RANK, waiting + index + 1));
    },
    async remove(lane, project, jobIds) {
      await redis.srem(key(lane, project), ...jobIds);
    },
  };
}
