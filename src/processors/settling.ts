import { DelayedError, type Job, UnrecoverableError, WaitingError } from 'bullmq';
import type { AppError } from '#errors';
import { readAnyPack } from '#queues/catalog.ts';
import { retireJobFacts } from '#queues/job-facts.ts';
import type { Start } from './execution.ts';
import type { Outcome } from './run.ts';

/** Tells BullMQ how a start ended, by its moves and errors. A job that is over no longer counts for its project's rank. */
export async function settle({ parts, lane, job, token }: Start, outcome: Outcome): Promise<void> {
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

/** The job comes back in `inMs`, without an attempt spent. */
export async function later(job: Job, token: string, inMs: number): Promise<never> {
  await job.moveToDelayed(Date.now() + inMs, token).catch(() => {
    // Redis refused, or the job is another's. It has not failed: untouched, it goes on once its lock has lapsed.
    throw new WaitingError();
  });
  throw new DelayedError();
}

/** Puts the job back first in line, without an attempt spent, unless it is another's by now. */
export async function giveBack(job: Job, token: string): Promise<never> {
  await job.moveToWait(token).catch(() => undefined);
  throw new WaitingError();
}

/** Carries our own wait to BullMQ's backoff. */
class RetryError extends Error {
  readonly inMs: number;
  constructor(error: AppError, inMs: number) {
    super(reasonOf(error), { cause: error });
    this.inMs = inMs;
  }
}

/** Milliseconds until the next attempt, after what an attempt has thrown. */
export function waitAfterFailure(error: Error | undefined): number {
  return error instanceof RetryError ? error.inMs : 1_000;
}

const reasonOf = (error: AppError): string => `${error.code}: ${error.message}`;
