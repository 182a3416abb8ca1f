import { type DefaultJobOptions, Queue } from 'bullmq';
import type { RedisConnection } from '#redis/connection.ts';
import { JOBS, type JobName, LANES, type Lane } from './catalog.ts';

/** One queue a lane. Each lane has a hash tag of its own, so a Cluster can put it anywhere. */
export type Lanes = Readonly<Record<Lane, Queue>>;

/** BullMQ's `prefix` of a lane; its keys are `<prefix>:<lane>:…`. */
export const lanePrefix = (prefix: string, lane: Lane): string => `{${prefix}:${lane}}`;

/** Key of a job's hash; BullMQ keeps its lock beside it, and so do we what changes of it. */
export const jobKey = (prefix: string, lane: Lane, jobId: string): string =>
  `${lanePrefix(prefix, lane)}:${lane}:${jobId}`;

/** Completed jobs stay an hour (re-adding a removed id would run it again); failed ones are the dead letters. */
const KEEP: DefaultJobOptions = { removeOnComplete: { age: 3600 }, removeOnFail: false };

/** Opens the queues for adding and looking. They share `redis` and do not close it. */
export function openLanes(redis: RedisConnection, prefix: string, onError: (error: Error) => void): Lanes {
  const open = (lane: Lane) => {
    const queue = new Queue(lane, {
      connection: redis,
      prefix: lanePrefix(prefix, lane),
      defaultJobOptions: KEEP,
      // A queue that looks at a Redis that is not there yet fails for good; one that waits for it does not.
      skipWaitingForReady: redis.status === 'ready',
    });
    queue.on('error', onError);
    return queue;
  };
  const [small, large, maintenance] = LANES.map(open) as [Queue, Queue, Queue];
  return { small, large, maintenance };
}

export async function closeLanes(lanes: Lanes): Promise<void> {
  await Promise.all(Object.values(lanes).map((queue) => queue.close()));
}

/** Options every job of this name is added with; the worker computes the wait between attempts itself. */
export function jobOptions(
  name: JobName,
  jobId: string,
): { jobId: string; attempts: number; backoff: { type: string } } {
  return { jobId, attempts: JOBS[name].attempts, backoff: { type: 'catalog' } };
}
