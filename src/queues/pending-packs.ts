import type { RedisConnection } from '#redis/connection.ts';
import { defineScript } from '#redis/script.ts';
import type { Lane } from './catalog.ts';
import { jobKey, lanePrefix } from './lanes.ts';

/** BullMQ's lowest priority; ranks beyond it are all last. */
const LAST_RANK = 2 ** 21;
/** Should removals be lost, a project's set is forgotten after a day without new packs. */
const TTL_SECONDS = 86_400;

/** A pack that waits, with the bytes announced for it. */
interface PendingPack {
  readonly jobId: string;
  readonly size: number;
}

/** Packs of a lane that have not come to their end, and the bytes announced for them. */
export interface Waiting {
  readonly jobs: number;
  readonly bytes: number;
}

/**
 * Which packs wait in a lane: a set of job ids a project, and a hash of sizes and projects for all of them, so that adding and
 * removing can be repeated. A pack's priority is its rank in its project, which lets a newcomer's few packs pass a
 * hog's thousands; what all of them weigh decides whether more is taken in.
 */
export interface PendingPacks {
  /** Ranks for jobs about to be added, in order; 1 is first. */
  add(lane: Lane, project: string, packs: readonly PendingPack[]): Promise<number[]>;
  remove(lane: Lane, project: string, jobIds: readonly string[]): Promise<void>;
  waiting(lane: Lane): Promise<Waiting>;
  /** Drops what stands for jobs that are over or gone: added again by a repeated request, or removed by hand. */
  prune(lane: Lane): Promise<void>;
}

/** KEYS project's set, sizes, total; ARGV ttl, project, then job ids and sizes. The total changes only as the sizes do. */
const addScript = defineScript(`
  local rank = redis.call('SCARD', KEYS[1])
  for i = 3, #ARGV, 2 do
    redis.call('SADD', KEYS[1], ARGV[i])
    local added = redis.call('HSETNX', KEYS[2], ARGV[i], ARGV[i + 1] .. ' ' .. ARGV[2])
    if added == 1 then redis.call('INCRBY', KEYS[3], ARGV[i + 1]) end
  end
  redis.call('EXPIRE', KEYS[1], ARGV[1])
  return rank
`);

/** KEYS project's set, sizes, total; ARGV job ids. */
const removeScript = defineScript(`
  for i = 1, #ARGV do
    redis.call('SREM', KEYS[1], ARGV[i])
    local held = redis.call('HGET', KEYS[2], ARGV[i])
    if held then
      redis.call('HDEL', KEYS[2], ARGV[i])
      redis.call('DECRBY', KEYS[3], string.match(held, '^%d+'))
    end
  end
`);

/** Jobs looked up, and arguments given to one script, at a time. */
const SLICE = 500;

/** The packs that wait, by lane and project, and their bytes; in Redis under `prefix`. */
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
        const rank = Number(await addScript(redis, keysOf(lane, project), [TTL_SECONDS, project, ...args]));
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
      const held = Object.entries(await redis.hgetall(sizes));
      for (let at = 0; at < held.length; at += SLICE) {
        const slice = held.slice(at, at + SLICE);
        const over = await Promise.all(slice.map(([jobId]) => isOver(lane, jobId)));
        for (const [index, [jobId, value]] of slice.entries()) {
          if (over[index]) await this.remove(lane, value.slice(value.indexOf(' ') + 1), [jobId]);
        }
      }
    },
  };

  /** A job that is done, a dead letter, or not there. */
  async function isOver(lane: Lane, jobId: string): Promise<boolean> {
    const queue = `${lanePrefix(prefix, lane)}:${lane}`;
    const [exists, ...ends] = await Promise.all([
      redis.exists(jobKey(prefix, lane, jobId)),
      redis.zscore(`${queue}:completed`, jobId),
      redis.zscore(`${queue}:failed`, jobId),
    ]);
    return exists === 0 || ends.some((score) => score !== null);
  }
}
