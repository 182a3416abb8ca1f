import type { Job } from 'bullmq';
import type { ErrorFacts } from '#errors';
import { cancelledError } from './cancellations.ts';
import { type Lane, readAnyPack } from './catalog.ts';
import type { JobView } from './producer.ts';

/** BullMQ's states in our words. */
const STATES: Readonly<Record<string, JobView['state']>> = {
  waiting: 'waiting',
  'waiting-children': 'waiting',
  prioritized: 'waiting',
  active: 'active',
  delayed: 'delayed',
  completed: 'completed',
  failed: 'failed',
};

/** BullMQ's word for a state in ours; what it does not know is about to be taken. */
export const toState = (state: string): JobView['state'] => STATES[state] ?? 'waiting';

/** BullMQ's lists that make up one of our states. */
export const LISTS = {
  waiting: ['waiting', 'prioritized'],
  active: ['active'],
  delayed: ['delayed'],
  completed: ['completed'],
  failed: ['failed'],
} as const satisfies Record<JobView['state'], readonly string[]>;

/** Fields of a job's facts that are shown to people: its last error, and when it is tried again. Written by the worker. */
export const ERROR_FIELD = 'error';
export const RETRY_FIELD = 'retryAt';
export const SHOWN_FIELDS = [ERROR_FIELD, RETRY_FIELD] as const;
/** Field of a dead letter's facts: the starts and stalls that it had then; empty once a replay has begun. */
export const OVER_FIELD = 'over';

interface BesideJob {
  /** Of the hash beside the job. */
  readonly facts: Readonly<Partial<Record<(typeof SHOWN_FIELDS)[number], string>>>;
  readonly cancelled: boolean;
}

/**
 * An upload job as people see it; `state` is BullMQ's word. A cancelled one says so from the moment it was, and keeps
 * saying so when it is completed.
 */
export function toJobView(job: Job, lane: Lane, state: string, { facts, cancelled }: BesideJob): JobView {
  const pack = readAnyPack(job.data);
  const shown = toState(state);
  return {
    jobId: job.id ?? '',
    batchId: pack.batchId,
    project: pack.entity.project,
    lane,
    state: shown,
    progress: shown === 'completed' ? 1 : typeof job.progress === 'number' ? job.progress : 0,
    attempts: job.attemptsMade,
    maxAttempts: job.opts.attempts ?? 1,
    // BullMQ keeps the delay, but not since when.
    nextRetryAt: shown === 'delayed' && !cancelled ? Number(facts[RETRY_FIELD]) || undefined : undefined,
    error: cancelled && shown !== 'failed' ? cancelledError().toFacts() : errorOf(shown, facts),
    files: pack.files.map(({ assetId, filename }) => ({ assetId, filename })),
  };
}

function errorOf(state: JobView['state'], { [ERROR_FIELD]: error }: BesideJob['facts']): ErrorFacts | undefined {
  return error === undefined || state === 'completed' ? undefined : (JSON.parse(error) as ErrorFacts);
}
