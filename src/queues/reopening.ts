import type { RedisConnection } from '#redis/connection.ts';
import { defineScript } from '#redis/script.ts';
import { JOBS, parseJobData } from './catalog.ts';
import { factsKey } from './job-facts.ts';
import type { Lanes } from './lanes.ts';

/** Starts completed uploads again. */
export interface Reopening {
  /**
   * Has a completed upload job store and commit these of its files once more, in a generation of its own; its others stay
   * as they are. False when the job is gone, or in any other state, or when one of them came from staging, whose bytes
   * went with the commit. Again is fine.
   */
  reopenFiles(jobId: string, assetIds: readonly string[]): Promise<boolean>;
}

/** KEYS completed, facts; ARGV job id, then asset ids. */
const reopenScript = defineScript(`
  if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
  local generation = tonumber(redis.call('HGET', KEYS[2], 'generation') or '') or 0
  redis.call('HSET', KEYS[2], 'generation', generation + 1, 'away', '')
  for i = 2, #ARGV do
    redis.call('HSET', KEYS[2], 'end:' .. ARGV[i], '', 'stored:' .. ARGV[i], '', 'tries:' .. ARGV[i], '')
  end
  redis.call('PERSIST', KEYS[2])
  return 1
`);

/** Over the jobs in `lanes`, with their facts in Redis under `prefix`. */
export function createReopening(redis: RedisConnection, prefix: string, lanes: Lanes): Reopening {
  return {
    async reopenFiles(jobId, assetIds) {
      for (const lane of JOBS.upload.lanes) {
        const queue = lanes[lane];
        const job = await queue.getJob(jobId);
        if (!job || !haveOrigins(job.data, assetIds)) continue;
        const keys = [queue.toKey('completed'), factsKey(prefix, lane, jobId)];
        if ((await reopenScript(redis, keys, [jobId, ...assetIds])) !== 1) continue;
        // A crash before this leaves it completed, with its files open: whoever asked asks again.
        await job.retry('completed', { resetAttemptsMade: true });
        return true;
      }
      return false;
    },
  };
}

/** Whether the files come from where they can be read again. */
function haveOrigins(data: unknown, assetIds: readonly string[]): boolean {
  const { files } = parseJobData('upload', data);
  return assetIds.every((assetId) => {
    const kind = files.find((file) => file.assetId === assetId)?.origin.kind;
    return kind !== undefined && kind !== 'staged';
  });
}
