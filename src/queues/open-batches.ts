import type { RedisConnection } from '#redis/connection.ts';

/**
 * Batches whose final record Convex may not have yet, with the time of their acceptance: one sorted set, written in the
 * script that takes the batch's place in the order of acceptance, so before its record. Taken out once its end is written.
 */
export interface OpenBatches {
  /** Some of them; `next` goes on, undefined after the last. One may come twice, and none is left out that stays. */
  page(cursor: string | undefined): Promise<{ batches: { batchId: string; createdAt: number }[]; next?: string }>;
  close(batchId: string): Promise<void>;
}

/** In the slot of the sequence. */
export const openBatchesKey = (prefix: string): string => `{${prefix}:accepted-seq}:open`;

const PAGE = 500;

/** The open batches of the deployment under `prefix`. */
export function createOpenBatches(redis: RedisConnection, prefix: string): OpenBatches {
  const key = openBatchesKey(prefix);
  return {
    async page(cursor = '0') {
      const [next, flat] = await redis.zscan(key, cursor, 'COUNT', PAGE);
      const batches = flat.flatMap((batchId, at) =>
        at % 2 === 0 ? [{ batchId, createdAt: Number(flat[at + 1]) }] : [],
      );
      return next === '0' ? { batches } : { batches, next };
    },
    close: async (batchId) => void (await redis.zrem(key, batchId)),
  };
}
