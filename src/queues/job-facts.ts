import type { RedisConnection } from '#redis/connection.ts';
import { type Keep, keepOnMaster } from '#redis/replicas.ts';
import { defineScript } from '#redis/script.ts';
import type { Lane } from './catalog.ts';
import { jobKey } from './lanes.ts';

/**
 * What changes about a job: a hash beside it that only the holder of the job's lock can write. BullMQ's
 * own `updateData` is not fenced: a worker that lost its lock could overwrite its successor's work.
 */
export interface JobFacts {
  read(): Promise<Readonly<Record<string, string>>>;
  /** Throws `LockLostError` when the lock is another's by now; nothing is written then. What is new ends a row of crashes. */
  write(fields: Readonly<Record<string, string>>): Promise<void>;
  /** The same, for what must not be forgotten in a failover: bytes are deleted after it. */
  writeForGood(fields: Readonly<Record<string, string>>): Promise<void>;
}

/** The job was taken over by another worker: stop, and leave everything as it is. */
export class LockLostError extends Error {
  override readonly name = 'LockLostError';
  constructor(jobId: string) {
    super(`Job ${jobId} is no longer ours; its lock was taken over.`);
  }
}

/** Key of the hash beside a job. */
export const factsKey = (prefix: string, lane: Lane, jobId: string) => `${jobKey(prefix, lane, jobId)}:facts`;

/** KEYS facts, lock; ARGV token, then fields and values. What is new shows that the job gets on, however often it crashes. */
const writeScript = defineScript(`
  if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
  local isNew = false
  for i = 2, #ARGV, 2 do
    isNew = isNew or redis.call('HGET', KEYS[1], ARGV[i]) ~= ARGV[i + 1]
  end
  redis.call('HSET', KEYS[1], unpack(ARGV, 2))
  if isNew then redis.call('HDEL', KEYS[1], 'crashes') end
  return 1
`);

/** The facts of one job, written under `token`, the lock of this start of it. */
export function openJobFacts(
  redis: RedisConnection,
  prefix: string,
  lane: Lane,
  jobId: string,
  token: string,
  keep: Keep = keepOnMaster,
): JobFacts {
  const key = factsKey(prefix, lane, jobId);
  const write = async (fields: Readonly<Record<string, string>>) => {
    const args = Object.entries(fields).flat();
    const written = await writeScript(redis, [key, `${jobKey(prefix, lane, jobId)}:lock`], [token, ...args]);
    if (written !== 1) throw new LockLostError(jobId);
  };
  return { read: () => redis.hgetall(key), write, writeForGood: (fields) => keep([key], () => write(fields)) };
}

/** Reads a job's facts without its lock, for showing them. */
export function readJobFacts(
  redis: RedisConnection,
  prefix: string,
  lane: Lane,
  jobId: string,
): Promise<Record<string, string>> {
  return redis.hgetall(factsKey(prefix, lane, jobId));
}

/**
 * Of a job's facts only those of `fields`, without its lock: beside a large file stand those of thousands of parts. What is
 * not there is undefined.
 */
export async function pickJobFacts<Field extends string>(
  redis: RedisConnection,
  prefix: string,
  lane: Lane,
  jobId: string,
  fields: readonly Field[],
): Promise<Readonly<Partial<Record<Field, string>>>> {
  const values = await redis.hmget(factsKey(prefix, lane, jobId), ...fields);
  const found = fields.flatMap((field, at) => (values[at] == null ? [] : [[field, values[at]]]));
  return Object.fromEntries(found);
}

/** Seconds that facts outlive their job: longer than the job is kept, so that a start repeated after a crash knows it is done. */
const RETIRED_SECONDS = 7_200;

/** A completed job's facts end by themselves. */
export async function retireJobFacts(redis: RedisConnection, prefix: string, lane: Lane, jobId: string): Promise<void> {
  await redis.expire(factsKey(prefix, lane, jobId), RETIRED_SECONDS);
}

/** Forgets a job's facts at once: the job itself is about to be removed. */
export async function forgetJobFacts(redis: RedisConnection, prefix: string, lane: Lane, jobId: string): Promise<void> {
  await redis.unlink(factsKey(prefix, lane, jobId));
}
