import type { Queue } from 'bullmq';
import type { EntityRef } from '#domain';
import { AppError, type ErrorFacts } from '#errors';
import type { RedisConnection } from '#redis/connection.ts';
import { queueUnavailable } from '#redis/connection.ts';
import type { Keep } from '#redis/replicas.ts';
import { acceptBatch } from './accept.ts';
import { type BacklogLimits, createBacklog } from './backlog.ts';
import { createBatches } from './batches.ts';
import { JOBS, LANES, type Lane, type Pack, type PackFile } from './catalog.ts';
import { createDeadLetters, type DeadLetters } from './dead-letters.ts';
import { createIdempotency, type Idempotency } from './idempotency.ts';
import { LISTS } from './job-view.ts';
import { createJobWatch, type JobWatch } from './job-watch.ts';
import { createJobs, type Jobs } from './jobs.ts';
import { closeLanes, type Lanes, openLanes } from './lanes.ts';
import { createLetterRuns, type LetterRuns } from './letter-runs.ts';
import { createPendingPacks } from './pending-packs.ts';
import { createReconciles, type Reconciles } from './reconcile-reports.ts';
import { createScrubState, type ScrubCounts } from './scrub-state.ts';
import { createStagingRecords, type StagingRecords } from './staging.ts';

/** What intake hands over once every byte it was given is staged. */
export interface AcceptRequest {
  readonly batchId: string;
  readonly entity: EntityRef;
  readonly packs: readonly PlannedPack[];
  /** `batch` makes its files ready all together, once each is stored; `each` is the default. */
  readonly commit?: Pack['commit'] | undefined;
  readonly correlationId: string;
  readonly createdBy: string;
  readonly createdAt: number;
}

export interface PlannedPack {
  readonly lane: Exclude<Lane, 'maintenance'>;
  readonly files: readonly Omit<PackFile, 'acceptedSeq'>[];
}

/** `size` sums the known sizes of the pack, in bytes. */
export interface AcceptedBatch {
  readonly batchId: string;
  readonly jobs: readonly { jobId: string; lane: Lane; size: number; files: readonly PackFile[] }[];
}

export interface BatchView {
  readonly batchId: string;
  readonly project: string;
  readonly owner: string;
  readonly state: 'accepted' | 'running' | 'done';
  readonly total: number;
  readonly successful: readonly string[];
  /** `attempt` of `maxAttempts` are the file's own. */
  readonly failed: readonly {
    assetId: string;
    error: ErrorFacts;
    attempt?: number | undefined;
    maxAttempts?: number | undefined;
  }[];
  /** Bytes announced at intake. */
  readonly size: number;
  readonly createdAt: number;
}

export interface JobView {
  readonly jobId: string;
  readonly batchId: string;
  readonly project: string;
  readonly lane: Lane;
  readonly state: 'waiting' | 'active' | 'delayed' | 'completed' | 'failed';
  /** 0 to 1. */
  readonly progress: number;
  readonly attempts: number;
  readonly maxAttempts: number;
  readonly nextRetryAt?: number | undefined;
  readonly error?: ErrorFacts | undefined;
  readonly files: readonly { assetId: string; filename: string }[];
}

/** The way in to the queues. Throws `AppError` `QUEUE_UNAVAILABLE` at once while Redis is away. */
export interface Producer extends Jobs {
  /** Throws `BACKLOG_FULL` when so much waits that no more work, of `bytes`, may be taken in; `TOO_LARGE` when it would not fit alone. */
  requireRoom(bytes?: number): Promise<void>;
  /** Requests by their callers' own names. */
  readonly idempotency: Idempotency;
  /** Jobs that failed for good. */
  readonly deadLetters: Pick<DeadLetters, 'groups' | 'list'>;
  /** What is done about them. */
  readonly letterRuns: LetterRuns;
  /** Comparisons of store, Convex and Redis. */
  readonly reconciles: Reconciles;
  /** What the scrub did since it began. */
  scrubCounts(): Promise<ScrubCounts>;
  /** Bytes on their way into staging. */
  readonly staging: StagingRecords;
  /** Writes the batch record, enqueues its packs, marks it accepted. Resolved means Redis has it on disk. */
  accept(request: AcceptRequest): Promise<AcceptedBatch>;
  getBatch(batchId: string): Promise<BatchView | undefined>;
  /** How one file of a batch ended; undefined before, and once the batch is forgotten. */
  getFileEnd(batchId: string, assetId: string): Promise<'ready' | ErrorFacts | undefined>;
  /** Tells of changes of single jobs. */
  readonly watchJob: JobWatch['watch'];
  /** True while a worker serves the lanes. */
  hasWorker(): Promise<boolean>;
  /** Resolves when Redis answers and takes writes. */
  check(): Promise<void>;
  /** Jobs by lane and state, for metrics. */
  counts(): Promise<Record<Lane, Record<JobView['state'], number>>>;
  /** The queues themselves, for Bull Board. */
  readonly lanes: Lanes;
  close(): Promise<void>;
}

interface ProducerOptions {
  /** Of role `caller`; it stays open when the producer is closed. */
  readonly redis: RedisConnection;
  readonly prefix: string;
  readonly limits: BacklogLimits;
  /** How what is accepted outlives a failover of Redis; the master alone has it unless given. */
  readonly keep?: Keep | undefined;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  readonly onError: (error: Error) => void;
}

/** The side that takes batches in: records and jobs in Redis under `prefix`, refused beyond `limits`. */
export function createProducer({ redis, prefix, limits, clock, onError, keep }: ProducerOptions): Producer {
  const guarded = guard(redis);
  const lanes = openLanes(redis, prefix, onError);
  const batches = createBatches(redis, prefix);
  const pending = createPendingPacks(redis, prefix);
  const backlog = createBacklog({ redis, pending, limits, clock });

  const jobs = createJobs({ redis, prefix, lanes });
  const deadLetters = createDeadLetters(redis, prefix, lanes);
  const jobWatch = createJobWatch(redis, prefix, onError);

  return {
    lanes,
    idempotency: guardedAll(guarded, createIdempotency(redis, prefix, keep)),
    deadLetters: guardedAll(guarded, { groups: deadLetters.groups, list: deadLetters.list }),
    letterRuns: guardedAll(guarded, createLetterRuns(redis, prefix, lanes, keep)),
    reconciles: guardedAll(guarded, createReconciles(redis, prefix, lanes, clock)),
    scrubCounts: () => guarded(() => createScrubState(redis, prefix, lanes.maintenance).counts()),
    staging: guardedAll(guarded, createStagingRecords(redis, prefix, lanes.maintenance)),
    requireRoom: (bytes) => guarded(() => backlog.requireRoom(bytes)),
    accept: (request) => guarded(() => acceptBatch({ redis, prefix, lanes, batches, pending, keep }, request)),
    getBatch: (batchId) => guarded(() => batches.view(batchId)),
    getFileEnd: (batchId, assetId) => guarded(() => batches.endOf(batchId, assetId)),
    getJob: (jobId) => guarded(() => jobs.getJob(jobId)),
    listJobs: (filter) => guarded(() => jobs.listJobs(filter)),
    cancelJob: (jobId) => guarded(() => jobs.cancelJob(jobId)),
    watchJob: (jobId, changed) => guarded(() => jobWatch.watch(jobId, changed)),
    async hasWorker() {
      const workers = await guarded(() => Promise.all(JOBS.upload.lanes.map((lane) => lanes[lane].getWorkersCount())));
      return workers.some((count) => count > 0);
    },
    async check() {
      await guarded(() => redis.set(`${prefix}:check`, '1', 'EX', 60));
    },
    async counts() {
      const entries = await Promise.all(
        LANES.map(async (lane) => [lane, await guarded(() => countStates(lanes[lane]))] as const),
      );
      return Object.fromEntries(entries) as Record<Lane, Record<JobView['state'], number>>;
    },
    close: async () => void (await Promise.all([closeLanes(lanes), jobWatch.close()])),
  };
}

async function countStates(queue: Queue): Promise<Record<JobView['state'], number>> {
  const counts = await queue.getJobCounts(...Object.values(LISTS).flat());
  const sum = (state: JobView['state']) => LISTS[state].reduce((total, list) => total + (counts[list] ?? 0), 0);
  return {
    waiting: sum('waiting'),
    active: sum('active'),
    delayed: sum('delayed'),
    completed: sum('completed'),
    failed: sum('failed'),
  };
}

type Guarded = <T>(work: () => Promise<T>) => Promise<T>;

/** Whatever Redis or BullMQ throws becomes ours; while there is no connection it is thrown at once, for who does not wait. */
function guard(redis: RedisConnection): Guarded {
  const waits = redis.options.enableOfflineQueue !== false;
  return async (work) => {
    if (!waits && redis.status !== 'ready') throw queueUnavailable(new Error(`The connection is ${redis.status}.`));
    return work().catch((error: unknown) => {
      throw error instanceof AppError ? error : queueUnavailable(error);
    });
  };
}

/** Every method of a part, guarded. */
function guardedAll<Part extends object>(guarded: Guarded, part: Part): Part {
  const methods = Object.entries(part).map(([name, method]) => [
    name,
    (...args: unknown[]) => guarded(() => (method as (...args: unknown[]) => Promise<unknown>)(...args)),
  ]);
  return Object.fromEntries(methods) as Part;
}
