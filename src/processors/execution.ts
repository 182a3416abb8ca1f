import type { Job } from 'bullmq';
import type { LimitFunction } from 'p-limit';
import { AppError } from '#errors';
import { JOBS, type JobName, type Lane, type Pack, parseJobData, readAnyPack } from '#queues/catalog.ts';
import { LockLostError, openJobFacts } from '#queues/job-facts.ts';
import { type JobStarts, openJobStarts } from '#queues/job-starts.ts';
import { toJobError } from '#queues/redis-errors.ts';
import { Interrupted, type Outcome, type Run, SUSPECT_FROM } from './run.ts';
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
  /** Runs one after the other what is given to it by this worker. */
  readonly oneByOne: LimitFunction;
}

/** So many starts in a row may crash with nothing done, and then the job ends. */
const CRASHES_AT_MOST = 20;

/** The life of a job from being taken to its outcome. Throws what BullMQ takes for an outcome other than `completed`. */
export async function execute(start: Start): Promise<void> {
  const { parts, lane, job, token } = start;
  const { metrics } = parts;
  const { correlationId } = readAnyPack(job.data);
  const log = parts.log.child({ lane, jobId: job.id, correlationId });
  const endTimer = metrics.uploadSeconds.startTimer({ lane });
  metrics.operations.inc({ operation: job.name });
  const starts = openJobStarts(parts.redis, parts.prefix, lane, job.id ?? '', token);
  let outcome: Outcome;
  try {
    outcome = await runProcessor(start, starts).finally(() => metrics.operations.dec({ operation: job.name }));
  } catch (error) {
    log.info({ err: error }, 'Job given back');
    // A lock that was lost counts like a crash: what keeps a process from renewing it is no better.
    if (error instanceof Interrupted && error.why !== 'lost') await starts.leave().catch(() => undefined);
    return giveBack(job, token);
  }
  if (outcome.end !== 'later') {
    if (job.name === 'upload') endTimer();
    log.info({ end: outcome.end, error: 'error' in outcome ? outcome.error.toFacts() : undefined }, 'Job ended');
  }
  await starts.settle().catch(() => undefined);
  await settle(start, outcome);
}

/**
 * What a processor throws becomes an outcome here: a dependency that is away delays, the rest is retried or final by
 * its code. Throws only when the run was interrupted or lost its lock.
 */
async function runProcessor(start: Start, starts: JobStarts): Promise<Outcome> {
  const { parts, job, signal, park, oneByOne } = start;
  const begin = async () => {
    signal.throwIfAborted();
    park.throwIfAborted();
    const crashes = await starts.begin();
    // A start that waits for what is away leaves nothing behind when its worker dies of something else.
    return crashes > 0 && (await parts.isAnythingAway()) ? starts.excuse() : crashes;
  };
  try {
    const crashes = await begin();
    if (crashes < SUSPECT_FROM) return await process(start, crashes);
    // While it waits its turn, no crash is its fault.
    await starts.leave();
    return await oneByOne(async () => process(start, await begin()));
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

async function process(start: Start, crashes: number): Promise<Outcome> {
  const { parts, job } = start;
  const poison =
    crashes < CRASHES_AT_MOST ? undefined : { error: poisonError(crashes), again: crashes > CRASHES_AT_MOST };
  const name = jobName(job);
  // The files of an upload come to their ends one by one, by its own processor.
  if (poison && name !== 'upload') return { end: 'failed', error: poison.error };
  const data = await readData(parts, name, job);
  const processor = parts.processors[name] as (data: unknown, run: Run) => Promise<Outcome>;
  return processor(data, { ...openRun(start), crashes, poison });
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

function poisonError(crashes: number): AppError {
  const message = `${crashes} starts of the job in a row ended in a crash or a lost lock, with nothing done.`;
  return new AppError('POISON', message, { details: { crashes } });
}

function openRun({ parts, lane, job, token, signal, park }: Start): Omit<Run, 'crashes' | 'poison'> {
  let sequence = 0;
  let shown = typeof job.progress === 'number' ? job.progress : 0;
  const jobId = job.id ?? '';
  const starts = ((job.data as Partial<Pack>).startsBefore ?? 0) + job.attemptsStarted;
  return {
    jobId,
    lane,
    addedAt: job.timestamp,
    starts,
    stalls: job.stalledCounter,
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
