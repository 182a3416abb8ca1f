import { z } from 'zod';
import type { ErrorFacts } from '#errors';
import type { RedisConnection } from '#redis/connection.ts';
import { type Keep, keepOnMaster } from '#redis/replicas.ts';
import { type JobData, LANES, parseJobData } from './catalog.ts';
import type { Place } from './dead-letters.ts';
import { readJobFacts } from './job-facts.ts';
import { toState } from './job-view.ts';
import { jobOptions, type Lanes } from './lanes.ts';
import type { JobView } from './producer.ts';

/** What is done about dead letters, as a job that any worker goes on with. */
export type LetterJob = 'replay' | 'discard';

/** How far a replay or a discard has come. */
export interface LetterRun {
  readonly jobId: string;
  readonly state: JobView['state'];
  /** Dead letters there were when it was asked for. */
  readonly total: number;
  /** Those replayed, or discarded. */
  readonly done: number;
  /** Those that were no dead letters any more when their turn came, or failed anew. */
  readonly skipped: number;
  readonly error?: Pick<ErrorFacts, 'message'> | undefined;
}

/** Jobs over dead letters: asked for here, carried out by the workers of lane `maintenance`. */
export interface LetterRuns {
  /** Resolved means Redis has the job on disk. */
  start<Name extends LetterJob>(name: Name, jobId: string, data: JobData<Name>): Promise<LetterRun>;
  /** Undefined without such a job; one that is done is known for an hour. */
  get(name: LetterJob, jobId: string): Promise<LetterRun | undefined>;
}

const place = z.object({ lane: z.enum(LANES), at: z.number().optional() });

/** What such a job has noted: what is done, what was skipped, and where its walk stands. */
export function readLetterRun(facts: Readonly<Record<string, string>>): {
  done: number;
  skipped: number;
  place: Place | undefined;
} {
  const { done = '0', skipped = '0', place: at } = facts;
  return {
    done: Number(done),
    skipped: Number(skipped),
    place: at === undefined ? undefined : place.parse(JSON.parse(at)),
  };
}

/** The replays and discards of the lanes under `prefix`. With `keep`, one counts as begun once it outlives a failover. */
export function createLetterRuns(
  redis: RedisConnection,
  prefix: string,
  { maintenance }: Lanes,
  keep: Keep = keepOnMaster,
): LetterRuns {
  return {
    async start(name, jobId, data) {
      await keep([maintenance.qualifiedName], () => maintenance.add(name, data, jobOptions(name, jobId)));
      return { jobId, state: 'waiting', total: data.total, done: 0, skipped: 0 };
    },
    async get(name, jobId) {
      // The state first: what is read then is no older.
      const state = toState(await maintenance.getJobState(jobId));
      const job = await maintenance.getJob(jobId);
      if (job?.name !== name) return undefined;
      const { total } = parseJobData(name, job.data);
      const { done, skipped } = readLetterRun(await readJobFacts(redis, prefix, 'maintenance', jobId));
      const error = state === 'failed' ? { message: job.failedReason ?? '' } : undefined;
      return { jobId, state, total, done, skipped, error };
    },
  };
}
