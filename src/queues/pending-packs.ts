import type { RedisConnection } from '#redis/connection.ts';
import { defineScript } from '#redis/script.ts';
import type { Lane } from './catalog.ts';
import { jobKey, lanePrefix } from './lanes.ts';

/** BullMQ's lowest priority; ranks beyond it are all last. */
const LAST_RANK = 2 ** 21;
/** Should removals be lost, a project's set is forgotten after a day without new packs. */
const TTL_SECONDS = 86_400;

/** A pack that waits, with the bytes announced for it. */
export interface PendingPack {
  readonly jobId: string;
  readonly size: number;
}

/** Packs of a lane that have not come to their end, and the bytes announced for them. */
export interface Waiting {
  readonly jobs: number;
  readonly bytes: number;
}

/**
 * Which packs wait in a lane: a set of job ids a project, and a hash of sizes for all of them, so that adding and
 * removing can be repeated. A pack's priority is its rank in its project, which lets a newcomer's few packs pass a
 * hog's thousands; what all of them weigh decides whether more is taken in.
 */
export interface PendingPacks {
  /** Ranks for jobs about to be added, in order; 1 is first. */
  add(lane: Lane, project: string, packs: readonly PendingPack[]): Promise<number[]>;
  remove(lane: Lane, project: string, jobIds: readonly string[]): Promise<void>;
  waiting(lane: Lane): Promise<Waiting>;
  /** Drops what stands for jobs that are gone, removed by hand for example. */
  prune(lane: Lane): Promise<void>;
}

/** KEYS project's set, sizes, total; ARGV ttl, then job ids and sizes. The total changes only as the sizes do. */
const addScript = defineScript(`
  local rank = redis.call('SCARD', KEYS[1])
  for i = 2, #ARGV, 2 do
    redis.call('SADD', KEYS[1], ARGV[i])
    if redis.call('HSETNX', KEYS[2], ARGV[i], ARGV[i + 1]) == 1 then redis.call('INCRBY', KEYS[3], ARGV[i + 1]) end
  end
  redis.call('EXPIRE', KEYS[1], ARGV[1])
  return rank
`);

/** KEYS project's set, sizes, total; ARGV job ids. Without a first key only the sizes are dropped. */
const removeScript = defineScript(`
  for i = 1, #ARGV do
    redis.call('SREM', KEYS[1], ARGV[i])
    local size = redis.call('HGET', KEYS[2], ARGV[i])
    if size then
      redis.call('HDEL', KEYS[2], ARGV[i])
      redis.call('DECRBY', KEYS[3], size)
    end
  end
`);

/** Jobs looked up, and arguments given to one script, at a time. */
const SLICE = 500;

export function createPendingPacks(redis: RedisConnection, prefix: string): PendingPacks {
  const keysOf = (lane: Lane, project: string): [set: string, sizes: string, total: string] => {
    const own = lanePrefix(prefix, lane);
    return [`${own}:pending:${project}`, `${own}:pending-sizes`, `${own}:pending-bytes`];
  };
  return {
    async add(lane, project, packs) {
      let before: number | undefined;
      for (let at = 0; at < packs.length; at += SLICE) {
        const args = packs.slice(at, at + SLICE).flatMap(({ jobId, size }) => [jobId, size]);
        const rank = Number(await addScript(redis, keysOf(lane, project), [TTL_SECONDS, ...args]));
        before ??= rank;
      }
      return packs.map((_, index) => Math.min(LAST_RANK, (before ?? 0) + index + 1));
    },
    async remove(lane, project, jobIds) {
      for (let at = 0; at < jobIds.length; at += SLICE)
        await removeScript(redis, keysOf(lane, project), jobIds.slice(at, at + SLICE));
    },
    async waiting(lane) {
      const [, sizes, total] = keysOf(lane, '');
      const [jobs, bytes] = await Promise.all([redis.hlen(sizes), redis.get(total)]);
      return { jobs, bytes: Number(bytes) };
    },
    async prune(lane) {
      const [, sizes] = keysOf(lane, '');
      const jobIds = await redis.hkeys(sizes);
      for (let at = 0; at < jobIds.length; at += SLICE) {
        const slice = jobIds.slice(at, at + SLICE);
        const found = await Promise.all(slice.map((jobId) => redis.exists(jobKey(prefix, lane, jobId))));
        const gone = slice.filter((_, index) => found[index] === 0);
        await this.remove(lane, '', gone);
      }
    },
  };
}
