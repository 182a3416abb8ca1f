import type { Queue } from 'bullmq';
import type { RedisConnection } from '#redis/connection.ts';
import { isSoleRun } from './sole-run.ts';

/** Where the scrub is on its way through all keys. */
export interface ScrubPlace {
  /** The last key it has done; none at the start of a pass. */
  readonly cursor: string | undefined;
  /** Ready assets it met in this pass. */
  readonly seen: number;
  /** As many there were in the pass before; undefined in the first. */
  readonly total: number | undefined;
  /** Objects that are due; the fraction of one is kept for the next run. */
  readonly due: number;
  /** Objects read of late, and those of them that were missing or different. */
  readonly read: number;
  readonly unfit: number;
  /** The job that made them due: one that is started again makes no more. */
  readonly jobId: string | undefined;
}

const COUNTERS = ['checked', 'bytes', 'missing', 'different', 'held', 'passes'] as const;
/** What it did since it began, for people. */
export type ScrubCounts = Readonly<Record<(typeof COUNTERS)[number], number>>;

/** What the scrub keeps from run to run. */
export interface ScrubState {
  /** False while an earlier run is at work still. */
  begin(jobId: string): Promise<boolean>;
  place(): Promise<ScrubPlace>;
  /** Writes where it is, and adds to the counts; nothing is about to be taken out of service then. */
  write(place: ScrubPlace, counted: Partial<ScrubCounts>): Promise<void>;
  counts(): Promise<ScrubCounts>;
  /** Notes what is about to be taken out of service, as text. */
  noteUnfit(text: string): Promise<void>;
  /** What was noted last, when nothing was written since. */
  unfit(): Promise<string | undefined>;
}

/** In a hash under `prefix`; `queue` is where its jobs are. */
export function createScrubState(redis: RedisConnection, prefix: string, queue: Queue): ScrubState {
  const key = `${prefix}:scrub`;
  return {
    begin: (jobId) => isSoleRun(redis, `${prefix}:scrub-job`, queue, jobId),
    async place() {
      const fields = ['cursor', 'seen', 'total', 'due', 'job', 'read', 'lately'];
      const [cursor, seen, total, due, jobId, read, unfit] = await redis.hmget(key, ...fields);
      return {
        cursor: cursor || undefined,
        seen: Number(seen ?? 0),
        total: total ? Number(total) : undefined,
        due: Number(due ?? 0),
        read: Number(read ?? 0),
        unfit: Number(unfit ?? 0),
        jobId: jobId || undefined,
      };
    },
    async write({ cursor = '', seen, total = '', due, jobId = '', read, unfit }, counted) {
      const place = { cursor, seen, total, due, job: jobId, read, lately: unfit };
      const steps = redis.multi().hset(key, place).hdel(key, 'unfit');
      for (const [name, by] of Object.entries(counted)) steps.hincrby(key, name, by);
      await steps.exec();
    },
    async counts() {
      const values = await redis.hmget(key, ...COUNTERS);
      return Object.fromEntries(COUNTERS.map((name, at) => [name, Number(values[at] ?? 0)])) as ScrubCounts;
    },
    noteUnfit: async (text) => void (await redis.hset(key, 'unfit', text)),
    unfit: async () => (await redis.hget(key, 'unfit')) ?? undefined,
  };
}
