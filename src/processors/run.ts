import type { Fence } from '#domain';
import type { AppError } from '#errors';
import type { JobData, JobName, Lane } from '#queues/catalog.ts';
import type { JobFacts } from '#queues/job-facts.ts';

/**
 * From so many crashes in a row on, a job may be what crashes its worker: suspects run one by one, and so do the files of
 * one, so that the culprit takes no other along.
 */
export const SUSPECT_FROM = 3;

/** One start of one job, as a processor sees it. */
export interface Run {
  readonly jobId: string;
  readonly lane: Lane;
  /** When it was added, milliseconds since the epoch. */
  readonly addedAt: number;
  /** How often the job was started, in any lane; a replay or a crash adds one. */
  readonly starts: number;
  /** How often BullMQ took the job from a worker that had died or lost its lock: so many of the starts were cut off. */
  readonly stalls: number;
  /** Which attempt this is, from 1; waiting for a dependency spends none. */
  readonly attempt: number;
  readonly maxAttempts: number;
  /** Aborted when the job's lock is gone, or the grace of a shutdown is over: stop, and throw its reason. */
  readonly signal: AbortSignal;
  /** Aborted first when the worker shuts down: finish the part at hand, begin no other, and throw its reason. */
  readonly park: AbortSignal;
  readonly facts: JobFacts;
  /** Starts in a row before this one that crashed, or lost their lock, with nothing done. */
  readonly crashes: number;
  /** Why the job must end now: too many of its starts crashed in a row. `again` when one that was to end it did, too. */
  readonly poison: { readonly error: AppError; readonly again: boolean } | undefined;
  /** A fence higher than any this job gave out before in this `generation`, which a replay raises. */
  nextFence(generation: number): Fence;
  /** Shows progress, 0 to 1. */
  progress(fraction: number): void;
}

/**
 * Why a run is stopped before its end; both its signals carry one as their reason. `parked`: the worker shuts down.
 * `lost`: the lock of the job is gone. `cut off`: Redis gave no answer for as long as the lock lasts.
 */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
  readonly why: 'parked' | 'lost' | 'cut off';

  constructor(why: Interrupted['why']) {
    super(`The run was stopped: ${why}.`);
    this.why = why;
  }
}

/** How a start of a job ended. Anything thrown instead is a fault of ours and counts as a failed attempt. */
export type Outcome =
  | { readonly end: 'done' }
  /** Cancelled on request: completed like `done`, with `CANCELLED` for people to see. */
  | { readonly end: 'cancelled' }
  /** Nothing to do, and nothing may remain: a completed job that is kept would block its id. */
  | { readonly end: 'discarded' }
  /** It goes on in another lane, where it was added. */
  | { readonly end: 'moved' }
  /** Try again in `inMs` without spending an attempt. */
  | { readonly end: 'later'; readonly inMs: number }
  /** Try again in `inMs`; an attempt is spent. */
  | { readonly end: 'retry'; readonly inMs: number; readonly error: AppError }
  /** Final: the job joins the dead letters. */
  | { readonly end: 'failed'; readonly error: AppError };

export type Processor<Name extends JobName> = (data: JobData<Name>, run: Run) => Promise<Outcome>;

/** Every job has its processor, or this does not compile. */
export type Processors = { readonly [Name in JobName]: Processor<Name> };
