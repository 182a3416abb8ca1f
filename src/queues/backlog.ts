import { AppError } from '#errors';
import type { RedisConnection } from '#redis/connection.ts';
import { MEMORY_SHARE, redisMemory } from '#redis/memory.ts';
import { JOBS } from './catalog.ts';
import type { PendingPacks, Waiting } from './pending-packs.ts';

/** How much may wait before no more is taken in. */
export interface BacklogLimits {
  readonly jobs: number;
  /** Bytes announced for the packs that wait. */
  readonly bytes: number;
}

export interface Backlog {
  /**
   * Throws `BACKLOG_FULL` when no more work may be taken in, `TOO_LARGE` for `bytes` that would not fit even alone;
   * rejects with what Redis throws when it is away.
   */
  requireRoom(bytes?: number): Promise<void>;
}

/** Everybody who asks within this time gets one answer, in milliseconds. */
const REMEMBER_MS = 250;
/** A full backlog is checked against the jobs there really are at most this often, in milliseconds. */
const PRUNE_EVERY_MS = 10_000;
const RETRY_AFTER_SECONDS = 10;

interface BacklogParts {
  readonly redis: RedisConnection;
  readonly pending: PendingPacks;
  readonly limits: BacklogLimits;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
}

/** Judges whether more work fits: jobs and bytes against `limits`, and the memory of Redis. */
export function createBacklog({ redis, pending, limits, clock }: BacklogParts): Backlog {
  let last: { readonly at: number; readonly full: Promise<AppError | undefined> } | undefined;
  let prunedAt = Number.NEGATIVE_INFINITY;

  /** Whether `bytes` more fit; undefined when they do. */
  async function judge(bytes: number): Promise<AppError | undefined> {
    const [waiting, memory] = await Promise.all([waitingNow(pending), redisMemory(redis)]);
    if (memory.share > MEMORY_SHARE) {
      return full('Redis has little memory left', { usedMemory: memory.used, maxMemory: memory.max });
    }
    if (waiting.jobs < limits.jobs && waiting.bytes < limits.bytes && waiting.bytes + bytes <= limits.bytes) return;
    if (clock() - prunedAt >= PRUNE_EVERY_MS) {
      prunedAt = clock();
      await Promise.all(JOBS.upload.lanes.map((lane) => pending.prune(lane)));
      return judge(bytes);
    }
    return full(`${waiting.jobs} jobs with ${waiting.bytes} bytes wait`, { ...waiting, limits });
  }

  return {
    async requireRoom(bytes = 0) {
      if (bytes > limits.bytes) throw tooLarge(bytes, limits.bytes);
      const refusal = await (bytes > 0 ? judge(bytes) : lately());
      if (refusal) throw refusal;
    },
  };

  function lately(): Promise<AppError | undefined> {
    if (!last || clock() - last.at >= REMEMBER_MS) last = { at: clock(), full: judge(0) };
    return last.full;
  }
}

function tooLarge(bytes: number, most: number): AppError {
  return new AppError('TOO_LARGE', `The files have ${bytes} bytes together; ${most} may wait at a time.`, {
    nextAction: 'Split the request, or have BACKLOG_MAX_BYTES raised.',
    details: { bytes, most },
  });
}

async function waitingNow(pending: PendingPacks): Promise<Waiting> {
  const lanes = await Promise.all(JOBS.upload.lanes.map((lane) => pending.waiting(lane)));
  return lanes.reduce((sum, { jobs, bytes }) => ({ jobs: sum.jobs + jobs, bytes: sum.bytes + bytes }));
}

function full(why: string, details: Record<string, unknown>): AppError {
  const message = `No more work is taken in for now: ${why}.`;
  return new AppError('BACKLOG_FULL', message, { details: { ...details, retryAfter: RETRY_AFTER_SECONDS } });
}
