import type { Job } from 'bullmq';
import { AppError } from '#errors';
import { JOBS, type JobName, type Lane, type Pack, parseJobData, readAnyPack } from '#queues/catalog.ts';
import { LockLostError, openJobFacts } from '#queues/job-facts.ts';
import { toJobError } from '#queues/redis-errors.ts';
import { Interrupted, type Outcome, type Run } from './run.ts';
import { giveBack, settle } from './settling.ts';
import { shortWait, waitAfterAttempt } from './waits.ts';
import type { WorkerParts } from './worker.ts';

/** One start of a job, as its worker has it. */
export interface Start {
  readonly parts: WorkerParts;
  readonly lane: Lane;
  readonly job: Job;
  /** Of the job's lock. */
  readonly token: string;
  readonly signal: AbortSignal;
  readonly park: AbortSignal;
}

/** The life of a job from being taken to its outcome. Throws what BullMQ takes for an outcome other than `completed`. */
export async function execute(start: Start): Promise<void> {
  const { parts, lane, job, token } = start;
  const { metrics } = parts;
  const { correlationId } = readAnyPack(job.data);
  const log = parts.log.child({ lane, jobId: job.id, correlationId });
  const endTimer = metrics.uploadSeconds.startTimer({ lane });
  metrics.operations.inc({ operation: job.name });
  let outcome: Outcome;
  try {
    outcome = await runProcessor(start);
  } catch (error) {
    log.info({ err: error }, 'Job given back');
    return giveBack(job, token);
  } finally {
    metrics.operations.dec({ operation: job.name });
  }
  if (outcome.end !== 'later') {
    if (job.name === 'upload') endTimer();
    log.info({ end: outcome.end, error: 'error' in outcome ? outcome.error.toFacts() : undefined }, 'Job ended');
  }
  await settle(start, outcome);
}

/**
 * What a processor throws becomes an outcome here: a dependency that is away delays, the rest is retried or final by
 * its code. Throws only when the run was interrupted or lost its lock.
 */
async function runProcessor(start: Start): Promise<Outcome> {
  const { parts, job, signal, park } = start;
  try {
    signal.throwIfAborted();
    park.throwIfAborted();
    const name = jobName(job);
    const data = await readData(parts, name, job);
    const processor = parts.processors[name] as (data: unknown, run: Run) => Promise<Outcome>;
    return await processor(data, openRun(start));
  } catch (thrown) {
    signal.throwIfAborted();
    if (thrown instanceof LockLostError || thrown instanceof Interrupted) throw thrown;
    const error = toJobError(thrown);
    if (error.unavailable) return { end: 'later', inMs: shortWait(parts.random()) };
    if (!error.retryable || !Object.hasOwn(JOBS, job.name)) return { end: 'failed', error };
    const { backoff } = JOBS[jobName(job)];
    return { end: 'retry', inMs: waitAfterAttempt(job.attemptsMade + 1, backoff, parts.random()), error };
  }
}

async function readData(parts: WorkerParts, name: JobName, job: Job): Promise<unknown> {
  try {
    return parseJobData(name, job.data);
  } catch (thrown) {
    const error = toJobError(thrown);
    if (name === 'upload') await parts.onUnreadable(readAnyPack(job.data), error);
    throw error;
  }
}

function jobName(job: Job): JobName {
  if (Object.hasOwn(JOBS, job.name)) return job.name as JobName;
  throw new AppError(
    'VALIDATION_FAILED',
    `No processor knows jobs named ${job.name}; it was added by another version.`,
  );
}

function openRun({ parts, lane, job, token, signal, park }: Start): Run {
  let sequence = 0;
  let shown = typeof job.progress === 'number' ? job.progress : 0;
  const jobId = job.id ?? '';
  const starts = ((job.data as Partial<Pack>).startsBefore ?? 0) + job.attemptsStarted;
  return {
    jobId,
    lane,
    addedAt: job.timestamp,
    starts,
    attempt: job.attemptsMade + 1,
    maxAttempts: job.opts.attempts ?? 1,
    signal,
    park,
    facts: openJobFacts(parts.redis, parts.prefix, lane, jobId, token, parts.keep),
    nextFence: (generation) => [generation, starts, ++sequence],
    progress(fraction) {
      if (fraction <= shown) return;
      shown = fraction;
      job.updateProgress(fraction).catch(() => undefined);
    },
  };
}
