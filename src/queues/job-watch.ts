import { QueueEvents } from 'bullmq';
import { openBlocking, openSubscriber, type RedisConnection } from '#redis/connection.ts';
import { cancelChannel } from './cancellations.ts';
import { JOBS, type Lane } from './catalog.ts';
import { lanePrefix } from './lanes.ts';

/** Tells of changes of single jobs, in whatever process they happen. */
export interface JobWatch {
  /**
   * Calls `changed` whenever something may be new about the job: read it again then, and once after this resolved.
   * Ends with the function it gives.
   */
  watch(jobId: string, changed: () => void): Promise<() => void>;
  close(): Promise<void>;
}

/** What BullMQ tells of a job that a view may show. */
const EVENTS = ['waiting', 'active', 'delayed', 'progress', 'completed', 'failed', 'removed'] as const;

/**
 * One connection a lane and one for cancellations, of which BullMQ knows nothing, however many watch; made when the
 * first does. `onError` hears that one is broken; it mends itself.
 */
export function createJobWatch(redis: RedisConnection, prefix: string, onError: (error: Error) => void): JobWatch {
  const watchers = new Map<string, Set<() => void>>();
  let lanes: Promise<QueueEvents[]> | undefined;
  let cancels: { readonly connection: RedisConnection; readonly heard: Promise<void> } | undefined;

  const tell = (jobId: string) => {
    for (const changed of watchers.get(jobId) ?? []) changed();
  };

  async function openLane(lane: Lane): Promise<QueueEvents> {
    const own = lanePrefix(prefix, lane);
    // From the last event that there is: one that comes before the first read must not be missed.
    const [last] = await redis.xrevrange(`${own}:${lane}:events`, '+', '-', 'COUNT', 1);
    const lastEventId = last?.[0] ?? '0-0';
    const events = new QueueEvents(lane, { connection: openBlocking(redis), prefix: own, lastEventId });
    events.on('error', onError);
    for (const event of EVENTS) events.on(event, ({ jobId }: { jobId: string }) => tell(jobId));
    // Who watches finds out by reading that Redis is away.
    events.on('ioredis:close', () => {
      for (const jobId of watchers.keys()) tell(jobId);
    });
    return events;
  }

  function openCancels(): NonNullable<typeof cancels> {
    const connection = openSubscriber(redis);
    const { promise: heard, resolve } = Promise.withResolvers<void>();
    connection.on('error', onError);
    connection.on('ready', () => connection.subscribe(cancelChannel(prefix)).then(() => resolve(), onError));
    connection.on('message', (_channel: string, jobId: string) => tell(jobId));
    return { connection, heard };
  }

  function open(): Promise<QueueEvents[]> {
    lanes ??= Promise.all(JOBS.upload.lanes.map(openLane)).catch((error: unknown) => {
      lanes = undefined;
      throw error;
    });
    return lanes;
  }

  return {
    async watch(jobId, changed) {
      await open();
      cancels ??= openCancels();
      await cancels.heard;
      const own = watchers.get(jobId) ?? new Set();
      watchers.set(jobId, own.add(changed));
      return () => {
        own.delete(changed);
        if (own.size === 0) watchers.delete(jobId);
      };
    },
    async close() {
      cancels?.connection.disconnect();
      const opened = await lanes?.catch(() => []);
      await Promise.all((opened ?? []).map((events) => events.close()));
    },
  };
}
