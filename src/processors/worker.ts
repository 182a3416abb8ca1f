import { setTimeout as pause } from 'node:timers/promises';
import { type Job, Worker } from 'bullmq';
import { LRUCache } from 'lru-cache';
import pLimit from 'p-limit';
import type { AppError } from '#errors';
import type { Logger } from '#log';
import type { Metrics } from '#metrics';
import { type AnyPack, CONCURRENCY, type Lane } from '#queues/catalog.ts';
import { lanePrefix } from '#queues/lanes.ts';
import type { PendingPacks } from '#queues/pending-packs.ts';
import type { RedisConnection } from '#redis/connection.ts';
import type { Keep } from '#redis/replicas.ts';
import { execute } from './execution.ts';
import { watchLocks } from './lock-watch.ts';
import { Interrupted, type Processors } from './run.ts';
import { later, waitAfterFailure } from './settling.ts';

/** Wait before a job is taken again whose last run here has not unwound, in milliseconds. */
const RETAKEN_WAIT = 1_000;
/** A dead worker's jobs go on within 12 s: its locks end after 5 to 10 s, and are looked for every 2 s. */
const LOCKS = { lockDuration: 10_000, stalledInterval: 2_000 };
/** Crashes are not failures: BullMQ must not count them. We do, in `queues/job-starts.ts`. */
const UNCOUNTED = 1_000_000;
/** What of a shutdown's grace is left for jobs to unwind in once they are aborted, in milliseconds. */
const UNWIND_WITHIN = 2_000;

export interface WorkerParts {
  readonly redis: RedisConnection;
  readonly prefix: string;
  readonly processors: Processors;
  readonly pending: PendingPacks;
  readonly keep?: Keep | undefined;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Told of an upload job whose data are not of this version's form, before it fails. */
  readonly onUnreadable: (pack: AnyPack, error: AppError) => Promise<void>;
  /** Whether any process finds store or Convex away now. */
  readonly isAnythingAway: () => Promise<boolean>;
  /** 0 to 1. */
  readonly random: () => number;
}

export interface LaneWorker {
  /** Whether it takes no jobs for now. Only this worker rests, and it ends with its process; jobs in work go on. */
  rest(isResting: boolean): Promise<void>;
  /**
   * Stops taking jobs and parks those that run, spending no attempt; whoever does not come to a good place is aborted
   * shortly before `graceMs` are over, and not waited for any longer then.
   */
  close(graceMs: number): Promise<void>;
}

/** Serves one lane. The only place that knows BullMQ's worker. `locks` are in milliseconds. */
export function startLaneWorker(lane: Lane, parts: WorkerParts, { lockDuration, stalledInterval } = LOCKS): LaneWorker {
  const park = new AbortController();
  const stop = new AbortController();
  const running = new Set<string>();
  const oneByOne = pLimit(1);
  const run = async (job: Job, token?: string) => {
    const jobId = job.id ?? '';
    if (token === undefined) throw new Error('BullMQ gave the job no lock.');
    // BullMQ tracks locks by job: the end of a run that lost its lock would untrack the next one of the same worker.
    if (running.has(jobId)) return later(job, token, RETAKEN_WAIT);
    running.add(jobId);
    const signal = AbortSignal.any([locks.hold(jobId), stop.signal]);
    try {
      await execute({ parts, lane, job, token, signal, park: park.signal, oneByOne });
    } finally {
      locks.letGo(jobId);
      running.delete(jobId);
    }
  };
  const worker = new Worker(lane, run, {
    connection: parts.redis,
    prefix: lanePrefix(parts.prefix, lane),
    concurrency: CONCURRENCY[lane],
    ...{ lockDuration, stalledInterval, maxStalledCount: UNCOUNTED },
    settings: { backoffStrategy: (_attempts, _type, error) => waitAfterFailure(error) },
  });
  worker.on('error', warner(parts.log, lane));
  const locks = watchLocks(worker, lockDuration, () => performance.now());
  return {
    // BullMQ's rate limit would rest the lane for every process, one that reaches what this one cannot, too.
    rest: (isResting) => (isResting ? worker.pause(true) : worker.resume()),
    async close(graceMs) {
      // Closing cuts the connection that waits for jobs first: a parked one must not come straight back.
      const closed = worker.close();
      const parked = new Interrupted('parked');
      park.abort(parked);
      const abort = setTimeout(() => stop.abort(parked), Math.max(0, graceMs - UNWIND_WITHIN));
      await Promise.race([closed, pause(graceMs, undefined, { ref: false })]);
      clearTimeout(abort);
      locks.stop();
    },
  };
}

/** Logs BullMQ's errors, the same one once in ten seconds: a loop that Redis refuses has thousands of them. */
function warner(log: Logger, lane: Lane): (error: Error) => void {
  const said = new LRUCache<string, true>({ max: 100, ttl: 10_000 });
  return ({ message }) => {
    if (said.has(message)) return;
    said.set(message, true);
    log.warn({ lane, error: message }, 'The worker had an error');
  };
}
