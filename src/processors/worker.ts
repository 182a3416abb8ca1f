import { setTimeout as pause } from 'node:timers/promises';
import { DelayedError, type Job, UnrecoverableError, WaitingError, Worker } from 'bullmq';
import { LRUCache } from 'lru-cache';
import { AppError } from '#errors';
import type { Logger } from '#log';
import type { Metrics } from '#metrics';
import {
  type AnyPack,
  CONCURRENCY,
  JOBS,
  type JobName,
  type Lane,
  type Pack,
  parseJobData,
  readAnyPack,
} from '#queues/catalog.ts';
import { LockLostError, openJobFacts, retireJobFacts } from '#queues/job-facts.ts';
import { lanePrefix } from '#queues/lanes.ts';
import type { PendingPacks } from '#queues/pending-packs.ts';
import { toJobError } from '#queues/redis-errors.ts';
import type { RedisConnection } from '#redis/connection.ts';
import type { Keep } from '#redis/replicas.ts';
import { PARKED, watchLocks } from './lock-watch.ts';
import type { Outcome, Processors, Run } from './run.ts';
import { shortWait, waitAfterAttempt } from './waits.ts';

/** Wait before a job is taken again whose last run here has not unwound, in milliseconds. */
const RETAKEN_WAIT = 1_000;
/** A dead worker's jobs go on within 10 s. Crashes are not failures: BullMQ must not count them. */
const LOCKS = { lockDuration: 10_000, stalledInterval: 5_000, maxStalledCount: 1_000_000 };

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
  /** 0 to 1. */
  readonly random: () => number;
}

export interface LaneWorker {
  /** Stops taking jobs and parks those that run, spending no attempt; gives up waiting after `graceMs`. */
  close(graceMs: number): Promise<void>;
}

/** Serves one lane. The only place that knows BullMQ's worker. */
export function startLaneWorker(lane: Lane, parts: WorkerParts): LaneWorker {
  const parking = new AbortController();
  const running = new Set<string>();
  // Three parameters without defaults: BullMQ gives a signal only to a function of length 3.
  const run = async (job: Job, token: string | undefined, signal: AbortSignal | undefined) => {
    const jobId = job.id ?? '';
    if (token === undefined || signal === undefined) throw new Error('BullMQ gave the job neither lock nor signal.');
    // BullMQ tracks locks by job: the end of a run that lost its lock would untrack the next one of the same worker.
    if (running.has(jobId)) return later(job, token, RETAKEN_WAIT);
    running.add(jobId);
    try {
      await execute(parts, lane, job, token, AbortSignal.any([signal, parking.signal]), parking.signal);
    } finally {
      running.delete(jobId);
    }
  };
  const worker = new Worker(lane, run, {
    connection: parts.redis,
    prefix: lanePrefix(parts.prefix, lane),
    concurrency: CONCURRENCY[lane],
    ...LOCKS,
    settings: { backoffStrategy: (_attempts, _type, error) => (error instanceof RetryError ? error.inMs : 1_000) },
  });
  worker.on('error', warner(parts.log, lane));
  const locks = watchLocks(worker, LOCKS.lockDuration, () => performance.now());
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

/** Logs BullMQ's errors, the same one once in ten seconds: a loop that Redis refuses has thousands of them. */
function warner(log: Logger, lane: Lane): (error: Error) => void {
  const said = new LRUCache<string, true>({ max: 100, ttl: 10_000 });
  return ({ message }) => {
    if (said.has(message)) return;
    said.set(message, true);
    log.warn({ lane, error: message }, 'The worker had an error');
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
async function execute(
  parts: WorkerParts,
  lane: Lane,
  job: Job,
  token: string,
  signal: AbortSignal,
  park: AbortSignal,
): Promise<void> {
  const { metrics } = parts;
  const { correlationId } = readAnyPack(job.data);
  const log = parts.log.child({ lane, jobId: job.id, correlationId });
  const endTimer = metrics.uploadSeconds.startTimer({ lane });
  metrics.operations.inc({ operation: job.name });
  let outcome: Outcome;
  try {
    outcome = await runProcessor(parts, lane, job, token, signal, park);
  } catch (error) {
    // Aborted, or the lock is another's: back to the queue without an attempt spent, unless it is his by now.
    log.info({ err: error }, 'Job given back');
    await job.moveToWait(token).catch(() => undefined);
    throw new WaitingError();
  } finally {
    metrics.operations.dec({ operation: job.name });
  }
  if (outcome.end !== 'later') {
    if (job.name === 'upload') endTimer();
    log.info({ end: outcome.end, error: 'error' in outcome ? outcome.error.toFacts() : undefined }, 'Job ended');
  }
  await settle(parts, lane, job, token, outcome);
}

/**
 * What a processor throws becomes an outcome here: a dependency that is away delays, the rest is retried or final by
 * its code. Throws only when the run was aborted or lost its lock.
 */
async function runProcessor(
  parts: WorkerParts,
  lane: Lane,
  job: Job,
  token: string,
  signal: AbortSignal,
  park: AbortSignal,
): Promise<Outcome> {
  try {
    signal.throwIfAborted();
    const name = jobName(job);
    const data = await readData(parts, name, job);
    const processor = parts.processors[name] as (data: unknown, run: Run) => Promise<Outcome>;
    return await processor(data, openRun(parts, lane, job, token, signal, park));
  } catch (thrown) {
    signal.throwIfAborted();
    if (thrown instanceof LockLostError) throw thrown;
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

function openRun(parts: WorkerParts, lane: Lane, job: Job, token: string, signal: AbortSignal, park: AbortSignal): Run {
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

/** Tells BullMQ. A job that is over no longer counts for its project's rank. */
async function settle(parts: WorkerParts, lane: Lane, job: Job, token: string, outcome: Outcome): Promise<void> {
  const jobId = job.id ?? '';
  if (outcome.end === 'later') return later(job, token, outcome.inMs);
  const isLastAttempt = job.attemptsMade + 1 >= (job.opts.attempts ?? 1);
  if (outcome.end === 'retry' && !isLastAttempt) throw new RetryError(outcome.error, outcome.inMs);
  // Housekeeping: a Redis that takes no writes now must not make a failure of what is done.
  const late = (err: unknown) =>
    parts.log.warn({ err, lane, jobId }, 'What stands for a job that is over stays for now');
  await parts.pending.remove(lane, readAnyPack(job.data).entity.project, [jobId]).catch(late);
  if (outcome.end === 'retry' || outcome.end === 'failed') throw new UnrecoverableError(reasonOf(outcome.error));
  await retireJobFacts(parts.redis, parts.prefix, lane, jobId).catch(late);
  if (outcome.end === 'discarded' || outcome.end === 'moved') job.opts.removeOnComplete = true;
}

async function later(job: Job, token: string, inMs: number): Promise<never> {
  await job.moveToDelayed(Date.now() + inMs, token);
  throw new DelayedError();
}
