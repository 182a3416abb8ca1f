import type { Job, Queue } from 'bullmq';
import { AppError } from '#errors';
import type { RedisConnection } from '#redis/connection.ts';
import { cancelChannel, createCancellations } from './cancellations.ts';
import { JOBS, type Lane, readAnyPack } from './catalog.ts';
import { pickJobFacts } from './job-facts.ts';
import { LISTS, OVER_FIELD, SHOWN_FIELDS, toJobView } from './job-view.ts';
import type { Lanes } from './lanes.ts';
import type { JobView } from './producer.ts';

/** At most `limit` jobs in `state`; with `project`, of that project only. */
export interface JobFilter {
  readonly state: JobView['state'];
  readonly project?: string | undefined;
  readonly limit: number;
}

/** Upload jobs, as people see them. */
export interface Jobs {
  getJob(jobId: string): Promise<JobView | undefined>;
  /** Newest first, over all lanes. */
  listJobs(filter: JobFilter): Promise<JobView[]>;
  /**
   * Cancels a job in whatever state; again is fine. A worker ends it, at once where one is free. Undefined without
   * such a job. Throws `CONFLICT` when it has failed, or when its commit has begun.
   */
  cancelJob(jobId: string): Promise<JobView | undefined>;
}

interface JobsParts {
  readonly redis: RedisConnection;
  readonly prefix: string;
  readonly lanes: Lanes;
}

interface Found {
  readonly job: Job;
  readonly lane: Lane;
  /** In BullMQ's words. */
  readonly state: string;
}

/** A job that outgrew `small` is found in `large`, so that one is looked up first. */
const UPLOAD_LANES = JOBS.upload.lanes.toReversed();

/** How far back a project's jobs are looked for, and how many are read at a time. */
const SCANNED = 5_000;
const PAGE = 200;

/** Upload jobs as people see them, found by id or state in the upload lanes. */
export function createJobs({ redis, prefix, lanes }: JobsParts): Jobs {
  const cancellations = createCancellations(redis, prefix);

  async function find(jobId: string): Promise<Found | undefined> {
    for (const lane of UPLOAD_LANES) {
      // The state first: what is read of the job then is no older, so its attempts and error are those of the state.
      const state = await lanes[lane].getJobState(jobId);
      const job: Job | undefined = await lanes[lane].getJob(jobId);
      if (job) return { job, lane, state };
    }
    return undefined;
  }

  async function view({ job, lane, state }: Found): Promise<JobView> {
    const jobId = job.id ?? '';
    const { batchId } = readAnyPack(job.data);
    const [facts, cancelled] = await Promise.all([
      pickJobFacts(redis, prefix, lane, jobId, SHOWN_FIELDS),
      cancellations.isCancelled(batchId, jobId),
    ]);
    return toJobView(job, lane, state, { facts, cancelled });
  }

  /** The start that made a dead letter of a job which waits for its replay, as starts are counted over all lanes. */
  async function failedStart({ job, lane }: Found): Promise<number | undefined> {
    const { [OVER_FIELD]: over } = await pickJobFacts(redis, prefix, lane, job.id ?? '', [OVER_FIELD]);
    return over ? Number.parseInt(over, 10) : undefined;
  }

  async function getJob(jobId: string): Promise<JobView | undefined> {
    const found = await find(jobId);
    return found && view(found);
  }

  return {
    getJob,
    async listJobs(filter) {
      const found = await Promise.all(UPLOAD_LANES.map((lane) => findJobs(lanes[lane], filter)));
      const jobs = found.flat().toSorted((a, b) => b.timestamp - a.timestamp);
      // A queue of ours is named after its lane.
      const views = jobs
        .slice(0, filter.limit)
        .map((job) => view({ job, lane: job.queueName as Lane, state: filter.state }));
      return Promise.all(views);
    },
    async cancelJob(jobId) {
      const found = await find(jobId);
      if (!found) return undefined;
      const { batchId, commit } = readAnyPack(found.job.data);
      if (found.state === 'failed') throw refusal(jobId, 'has failed already', `To replay it: reelay replay ${jobId}`);
      const isOver = found.state === 'completed' && commit === 'each';
      const cancelled = isOver
        ? await cancellations.isCancelled(batchId, jobId)
        : await cancellations.request(batchId, jobId, await failedStart(found));
      if (!cancelled) throw refusal(jobId, 'is committed, or is being committed at this moment', COMMITTED);
      await redis.publish(cancelChannel(prefix), jobId);
      await hurry(found);
      return getJob(jobId);
    },
  };
}

const COMMITTED = 'Its files stay as they are; upload a new version instead.';

function refusal(jobId: string, why: string, nextAction: string): AppError {
  return new AppError('CONFLICT', `Job ${jobId} ${why}.`, { nextAction });
}

/** A job that waits comes first, so that its end is not long in coming; one that a worker has taken meanwhile is fine. */
async function hurry({ job, state }: Found): Promise<void> {
  if (state === 'active' || state === 'completed') return;
  await job.changePriority({ priority: 0 }).catch(ignoreGone);
  if (state === 'delayed') await job.promote().catch(ignoreGone);
}

/** One that is gone meanwhile needs no hurry. */
function ignoreGone(error: unknown): void {
  if (!isGone(error)) throw error;
}

/** True for what BullMQ says, by code, of a job that is not there or not in that state any more. */
export function isGone(error: unknown): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'number' && error.code < 0;
}

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
