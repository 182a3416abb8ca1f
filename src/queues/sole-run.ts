import type { Queue } from 'bullmq';
import type { RedisConnection } from '#redis/connection.ts';
import { defineScript } from '#redis/script.ts';

/** KEYS holder; ARGV job, the holder seen before. Answers who holds it now. */
const takeScript = defineScript(`
  local holder = redis.call('GET', KEYS[1])
  if holder and holder ~= ARGV[1] and holder ~= ARGV[2] then return holder end
  redis.call('SET', KEYS[1], ARGV[1])
  return ARGV[1]
`);

/** BullMQ's words for a job that nobody works on any more. */
const OVER: readonly string[] = ['completed', 'failed', 'unknown'];

/**
 * True when a job of `queue` may go on as the only one of those that ask for `key`: none before it is at work. It stays so
 * until the job is over, across restarts and waits; there is nothing to renew nor to give back.
 */
export async function isSoleRun(redis: RedisConnection, key: string, queue: Queue, jobId: string): Promise<boolean> {
  const holder = String(await takeScript(redis, [key], [jobId, '']));
  if (holder === jobId) return true;
  if (!OVER.includes(await queue.getJobState(holder))) return false;
  return (await takeScript(redis, [key], [jobId, holder])) === jobId;
}
