import type { Job, Queue } from 'bullmq';
import type { EntityRef } from '#domain';
import { AppError, type ErrorFacts } from '#errors';
import type { RedisConnection } from '#redis/connection.ts';
import { queueUnavailable } from '#redis/connection.ts';
import { acceptBatch } from './accept.ts';
import { createBatches } from './batches.ts';
import { JOBS, LANES, type Lane, type PackFile, readAnyPack } from './catalog.ts';
import { readJobFacts } from './job-facts.ts';
import { LISTS, toJobView } from './job-view.ts';
import { closeLanes, type Lanes, openLanes } from './lanes.ts';
import { createPendingPacks } from './pending-packs.ts';

/** What intake hands over once every byte it was given is staged. */
export interface AcceptRequest {
  readonly batchId: string;
  readonly entity: EntityRef;
  readonly packs: readonly PlannedPack[];
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
  readonly failed: readonly { assetId: string; error: ErrorFacts }[];
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

/** At most `limit` jobs in `state`; with `project`, of that project only. */
interface JobFilter {
  readonly state: JobView['state'];
  readonly project?: string | undefined;
  readonly limit: number;
}

/** The way in to the queues. Throws `AppError` `QUEUE_UNAVAILABLE` at once while Redis is away. */
export interface Producer {
  /** Writes the batch record, enqueues its packs, marks it accepted. Resolved means Redis has it on disk. */
  accept(request: AcceptRequest): Promise<AcceptedBatch>;
  getBatch(batchId: string): Promise<BatchView | undefined>;
  getJob(jobId: string): Promise<JobView | undefined>;
  /** Newest first, over all lanes. */
  listJobs(filter: JobFilter): Promise<JobView[]>;
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

/** Upload lanes; a job that outgrew `small` is found in `large`, so that one is looked up first. */
const UPLOAD_LANES = JOBS.upload.lanes.toReversed();

/** How far back a project's jobs are looked for, and how many are read at a time. */
const SCANNED = 5_000;
const PAGE = 200;

/** Builds the producer on a connection of role `caller`; closing it leaves the connection open. */
export function createProducer(redis: RedisConnection, prefix: string, onError: (error: Error) => void): Producer {
  const lanes = openLanes(redis, prefix, onError);
  const batches = createBatches(redis, prefix);
  const pending = createPendingPacks(redis, prefix);

  const view = async (job: Job, lane: Lane, state: string): Promise<JobView> =>
    toJobView(job, lane, state, await readJobFacts(redis, prefix, lane, job.id ?? ''));

  return {
    lanes,
    accept: (request) => guarded(acceptBatch({ redis, prefix, lanes, batches, pending }, request)),
    getBatch: (batchId) => guarded(batches.view(batchId)),
    async getJob(jobId) {
      for (const lane of UPLOAD_LANES) {
        const job: Job | undefined = await guarded(lanes[lane].getJob(jobId));
        if (job) return guarded(job.getState().then((state) => view(job, lane, state)));
      }
      return undefined;
    },
    async listJobs(filter) {
      const found = await guarded(Promise.all(UPLOAD_LANES.map((lane) => findJobs(lanes[lane], filter))));
      const jobs = found.flat().toSorted((a, b) => b.timestamp - a.timestamp);
      const views = jobs.slice(0, filter.limit).map((job) => view(job, laneOf(job), filter.state));
      return guarded(Promise.all(views));
    },
    async hasWorker() {
      const workers = await guarded(Promise.all(UPLOAD_LANES.map((lane) => lanes[lane].getWorkersCount())));
      return workers.some((count) => count > 0);
    },
    async check() {
      await guarded(redis.set(`${prefix}:check`, '1', 'EX', 60));
    },
    async counts() {
      const entries = await Promise.all(
        LANES.map(async (lane) => [lane, await guarded(countStates(lanes[lane]))] as const),
      );
      return Object.fromEntries(entries) as Record<Lane, Record<JobView['state'], number>>;
    },
    close: () => closeLanes(lanes),
  };
}

/** A queue of ours is named after its lane. */
const laneOf = (job: Job): Lane => job.queueName as Lane;

/** Newest first; a project's jobs are looked for among the newest `SCANNED` of the state. */
async function findJobs(queue: Queue, { state, project, limit }: JobFilter): Promise<Job[]> {
  const found: Job[] = [];
  for (let from = 0; from < SCANNED && found.length < limit; from += PAGE) {
    const page: Job[] = await queue.getJobs([...LISTS[state]], from, from + PAGE - 1, false);
    found.push(...page.filter((job) => project === undefined || readAnyPack(job.data).entity.project === project));
    if (page.length < PAGE) break;
  }
  return found;
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

/** Whatever Redis or BullMQ throws, as ours. */
async function guarded<T>(work: Promise<T>): Promise<T> {
  return work.catch((error: unknown) => {
    throw error instanceof AppError ? error : queueUnavailable(error);
  });
}
