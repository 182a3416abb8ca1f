import type { Job } from 'bullmq';
import type { ErrorFacts } from '#errors';
import { type Lane, type Pack, parseJobData } from './catalog.ts';
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

/** BullMQ's lists that make up one of our states. */
export const LISTS = {
  waiting: ['waiting', 'prioritized'],
  active: ['active'],
  delayed: ['delayed'],
  completed: ['completed'],
  failed: ['failed'],
} as const satisfies Record<JobView['state'], readonly string[]>;

/** Field of a job's facts with its last error; written by the worker, shown to people. */
export const ERROR_FIELD = 'error';

/** An upload job as people see it; `state` is BullMQ's word, `facts` the hash beside the job. */
export function toJobView(job: Job, lane: Lane, state: string, facts: Readonly<Record<string, string>>): JobView {
  const pack: Pack = parseJobData('upload', job.data);
  const shown = STATES[state] ?? 'waiting';
  const error = facts[ERROR_FIELD];
  return {
    jobId: job.id ?? '',
    batchId: pack.batchId,
    project: pack.entity.project,
    lane,
    state: shown,
    progress: shown === 'completed' ? 1 : typeof job.progress === 'number' ? job.progress : 0,
    attempts: job.attemptsMade,
    maxAttempts: job.opts.attempts ?? 1,
    nextRetryAt: shown === 'delayed' ? job.timestamp + job.delay : undefined,
    error: error === undefined || shown === 'completed' ? undefined : (JSON.parse(error) as ErrorFacts),
    files: pack.files.map(({ assetId, filename }) => ({ assetId, filename })),
  };
}
