import type { RedisConnection } from '#redis/connection.ts';
import { defineScript } from '#redis/script.ts';
import type { Lane } from './catalog.ts';
import { factsKey, LockLostError } from './job-facts.ts';
import { jobKey } from './lanes.ts';

/**
 * The starts of a job that never came to an outcome, counted in its facts: `running` is the lock of the start at work,
 * `crashes` how many in a row left theirs behind. Whatever a start writes to the facts that is new sets `crashes` back.
 */
export interface JobStarts {
  /** The start begins. Answers how many in a row before it crashed, or lost their lock, with nothing done. Throws `LockLostError`. */
  begin(): Promise<number>;
  /** The last crash was not the job's doing: it counts no more. Answers how many do. */
  excuse(): Promise<number>;
  /** It came to an outcome, and so the row of crashes is over. */
  settle(): Promise<void>;
  /** It stopped in order, without an outcome: that says nothing about the job. */
  leave(): Promise<void>;
}

/** KEYS facts, lock; ARGV token. */
const beginScript = defineScript(`
  if redis.call('GET', KEYS[2]) ~= ARGV[1] then return false end
  local running, crashes = unpack(redis.call('HMGET', KEYS[1], 'running', 'crashes'))
  crashes = tonumber(crashes or '0')
  redis.call('HSET', KEYS[1], 'running', ARGV[1])
  if running then
    crashes = crashes + 1
    redis.call('HSET', KEYS[1], 'crashes', crashes)
  end
  return crashes
`);

/** KEYS facts; ARGV token. */
const excuseScript = defineScript(`
  if redis.call('HGET', KEYS[1], 'running') ~= ARGV[1] then return 0 end
  local crashes = math.max(0, tonumber(redis.call('HGET', KEYS[1], 'crashes') or '0') - 1)
  redis.call('HSET', KEYS[1], 'crashes', crashes)
  return crashes
`);

/** KEYS facts; ARGV token, whether there was an outcome. Needs no lock: a later start has another mark. */
const endScript = defineScript(`
  if redis.call('HGET', KEYS[1], 'running') ~= ARGV[1] then return end
  redis.call('HDEL', KEYS[1], 'running')
  if ARGV[2] == '1' then redis.call('HDEL', KEYS[1], 'crashes') end
`);

/** The starts of one job, of which this one has the lock `token`. */
export function openJobStarts(
  redis: RedisConnection,
  prefix: string,
  lane: Lane,
  jobId: string,
  token: string,
): JobStarts {
  const key = factsKey(prefix, lane, jobId);
  const end = async (settled: boolean) => void (await endScript(redis, [key], [token, settled ? 1 : 0]));
  return {
    async begin() {
      const crashes = await beginScript(redis, [key, `${jobKey(prefix, lane, jobId)}:lock`], [token]);
      if (crashes === null) throw new LockLostError(jobId);
      return Number(crashes);
    },
    excuse: async () => Number(await excuseScript(redis, [key], [token])),
    settle: () => end(true),
    leave: () => end(false),
  };
}
