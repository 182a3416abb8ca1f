import { setTimeout as pause } from 'node:timers/promises';
import { DelayedError, type Job, UnrecoverableError, WaitingError, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { AppError, toAppError } from '#errors';
import type { Logger } from '#log';
import type { Metrics } from '#metrics';
import { CONCURRENCY, JOBS, type JobName, type Lane, parseJobData } from '#queues/catalog.ts';
import { dropJobFacts, LockLostError, openJobFacts } from '#queues/job-facts.ts';
import { lanePrefix } from '#queues/lanes.ts';
import type { PendingPacks } from '#queues/pending-packs.ts';
import { PARKED, watchLocks } from './lock-watch.ts';
import type { Outcome, Processors, Run } from './run.ts';

/** A dead worker's jobs go on within 10 s. Crashes are not failures: BullMQ must not count them. */
const LOCKS = { lockDuration: 10_000, stalledInterval: 5_000, maxStalledCount: 1_000_000 };

export interface WorkerParts {
  readonly redis: Redis;
  readonly prefix: string;
  readonly processors: Processors;
  readonly pending: PendingPacks;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly now: () => number;
}

export interface LaneWorker {
  /** Stops taking jobs and parks those that run, spending no attempt; gives up waiting after `graceMs`. */
  close(graceMs: number): Promise<void>;
}

/** Serves one lane. The only place that knows BullMQ's worker. */
export function startLaneWorker(lane: Lane, parts: WorkerParts): LaneWorker {
  // Three parameters without defaults: BullMQ gives a signal only to a function of length 3.
  const run = (job: Job, token: string | undefined, signal: AbortSignal | undefined) => {
    if (token === undefined || signal === undefined) throw new Error('BullMQ gave the job neither lock nor signal.');
    return execute(parts, lane, job, token, AbortSignal.any([signal, parking.signal]));
  };
  const parking = new AbortController();
  const worker = new Worker(lane, run, {
    connection: parts.redis,
    prefix: lanePrefix(parts.prefix, lane),
    concurrency: CONCURRENCY[lane],
    ...LOCKS,
    settings: { backoffStrategy: (_attempts, _type, error) => (error instanceof RetryError ? error.inMs : 1_000) },
  });
  worker.on('error', (error) => parts.log.warn({ lane, error: error.message }, 'The worker had an error'));
  const locks = watchLocks(worker, LOCKS.lockDuration, parts.now);
  return {
    async close(graceMs) {
      // Closing cuts the connection that waits for jobs first: a parked one must not come straight back.
      const closed = worker.close();
      parking.abort(PARKED);
      await Promise.race([closed, pause(graceMs, undefined, { ref: false })]);
      locks.stop();
    },
  };
}

/** Carries our own wait to BullMQ's backoff. */
class RetryError extends Error {
  readonly inMs: number;
  constructor(error: AppError, inMs: number) {
    super(reasonOf(error), { cause: error });
    this.inMs = inMs;
  }
}

const reasonOf = (error: AppError): string => `${error.code}: ${error.message}`;

/** The life of a job from being taken to its outcome. */
async function execute(parts: WorkerParts, lane: Lane, job: Job, token: string, signal: AbortSignal): Promise<void> {
  const jobId = job.id ?? '';
  const log = parts.log.child({ lane, jobId, correlationId: (job.data as { correlationId?: unknown }).correlationId });
  const endTimer = parts.metrics.uploadSeconds.startTimer({ lane });
  parts.metrics.operations.inc({ operation: job.name });
  try {
    const outcome = await process(parts, lane, job, token, signal);
    if (outcome.end !== 'later')
      log.info({ end: outcome.end, error: 'error' in outcome ? outcome.error.toFacts() : undefined }, 'Job ended');
    await settle(parts, lane, job, token, outcome);
  } catch (error) {
    if (signal.aborted && signal.reason === PARKED) {
      await job.moveToWait(token);
      throw new WaitingError();
    }
    throw signal.aborted ? new LockLostError(jobId) : error;
  } finally {
    parts.metrics.operations.dec({ operation: job.name });
    endTimer();
  }
}

async function process(parts: WorkerParts, lane: Lane, job: Job, token: string, signal: AbortSignal): Promise<Outcome> {
  const run = openRun(parts, lane, job, token, signal);
  try {
    signal.throwIfAborted();
    const name = jobName(job);
    const processor = parts.processors[name] as (data: unknown, run: Run) => Promise<Outcome>;
    return await processor(parseJobData(name, job.data), run);
  } catch (thrown) {
    signal.throwIfAborted();
    const error = toAppError(thrown);
    if (error.unavailable) return { end: 'later', inMs: 5_000 };
    if (!error.retryable) return { end: 'failed', error };
    return { end: 'retry', inMs: 1_000, error };
  }
}

function jobName(job: Job): JobName {
  if (Object.hasOwn(JOBS, job.name)) return job.name as JobName;
  throw new AppError(
    'VALIDATION_FAILED',
    `No processor knows jobs named ${job.name}; it was added by another version.`,
  );
}

function openRun(parts: WorkerParts, lane: Lane, job: Job, token: string, signal: AbortSignal): Run {
  let sequence = 0;
  const jobId = job.id ?? '';
  return {
    jobId,
    lane,
    attempt: job.attemptsMade + 1,
    maxAttempts: job.opts.attempts ?? 1,
    signal,
    facts: openJobFacts(parts.redis, parts.prefix, lane, jobId, token),
    nextFence: () => [0, job.attemptsStarted, ++sequence],
    progress: (fraction) => void job.updateProgress(fraction).catch(() => undefined),
  };
}

/** Tells BullMQ. A job that is over no longer counts for its project's rank. */
async function settle(parts: WorkerParts, lane: Lane, job: Job, token: string, outcome: Outcome): Promise<void> {
  const jobId = job.id ?? '';
  if (outcome.end === 'later') {
    await job.moveToDelayed(parts.now() + outcome.inMs, token);
    throw new DelayedError();
  }
  if (outcome.end === 'retry' && job.attemptsMade + 1 < (job.opts.attempts ?? 1))
    throw new RetryError(outcome.error, outcome.inMs);
  const project = (job.data as { entity?: { project?: unknown } }).entity?.project;
  if (typeof project === 'string') await parts.pending.remove(lane, project, jobId);
  if (outcome.end === 'retry' || outcome.end === 'failed') throw new UnrecoverableError(reasonOf(outcome.error));
  await dropJobFacts(parts.redis, parts.prefix, lane, jobId);
  if (outcome.end !== 'done') job.opts.removeOnComplete = true;
}
