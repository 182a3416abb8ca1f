import { AppError } from '#errors';
import type { RedisConnection } from '#redis/connection.ts';
import { defineScript } from '#redis/script.ts';

/**
 * Whether a pack is cancelled or comes to its end: one hash a batch, a field a job, so that one script decides for
 * any number of a batch's packs, whatever lane they are in. Whoever is first wins: who cancels, or who commits.
 */
export interface Cancellations {
  /**
   * Cancels the job; again is fine. False when its end was claimed before: it is committed, or about to be. A claim of
   * `failedStart` holds no more: that start made a dead letter of it, which is replayed now.
   */
  request(batchId: string, jobId: string, failedStart?: number): Promise<boolean>;
  isCancelled(batchId: string, jobId: string): Promise<boolean>;
  /**
   * At the start of a job: takes back a claim by an earlier start of its own, and with bytes yet `toStore` also that of
   * the end of its batch, which had the other files. True when the job is cancelled.
   */
  begin(batchId: string, jobId: string, toStore: boolean): Promise<boolean>;
  /**
   * Before the files of these jobs are committed or fail for good: from here on they are not cancelled any more.
   * Answers those that were before; `commits` notes that the others may be in Convex from now on. What the end of
   * the batch has claimed, a pack leaves to it.
   */
  claim(batchId: string, jobIds: readonly string[], claim: Claim): Promise<ReadonlySet<string>>;
  /** Takes the own claim back: files are still open, so that the jobs can be cancelled again. */
  release(batchId: string, jobIds: readonly string[], owner: string): Promise<void>;
  /** True when a commit of the job was ever claimed: then only Convex knows what became of it. */
  mayBeCommitted(batchId: string, jobId: string): Promise<boolean>;
  /** All files of the job are committed: a cancellation is too late, even one that was taken. */
  overrule(batchId: string, jobId: string): Promise<void>;
}

interface Claim {
  /** The start that claims: `<job>/<start>`. */
  readonly owner: string;
  readonly commits: boolean;
}

/** As long as a batch's record. */
const TTL_SECONDS = 30 * 86_400;
const CANCELLED = 'cancelled';
const COMMITS = 'commits:';

/** KEYS decisions; ARGV job id, ttl, a claim that holds no more. */
const requestScript = defineScript(`
  local decided = redis.call('HGET', KEYS[1], ARGV[1])
  if decided and decided ~= ARGV[3] then return decided == '${CANCELLED}' and 1 or 0 end
  redis.call('HSET', KEYS[1], ARGV[1], '${CANCELLED}')
  redis.call('EXPIRE', KEYS[1], ARGV[2])
  return 1
`);

/** Lua: whose claim `by:<job>/<start>` is; one without a start is nobody's but its own. */
const JOB_OF = "local function jobOf(claim) return string.match(claim, '^(.*)/') or claim end";

/** KEYS decisions; ARGV job id, whether bytes are yet to be stored. */
const beginScript = defineScript(`
  ${JOB_OF}
  local claim = redis.call('HGET', KEYS[1], ARGV[1])
  if claim == '${CANCELLED}' then return 1 end
  if claim and (ARGV[2] == '1' or jobOf(claim) == 'by:' .. ARGV[1]) then redis.call('HDEL', KEYS[1], ARGV[1]) end
  return 0
`);

/** KEYS decisions; ARGV ttl, owner, whether it commits, then job ids. Answers those that are cancelled. */
const claimScript = defineScript(`
  ${JOB_OF}
  local cancelled = {}
  for i = 4, #ARGV do
    local claim = redis.call('HGET', KEYS[1], ARGV[i])
    if claim == '${CANCELLED}' then
      table.insert(cancelled, ARGV[i])
    else
      local own = 'by:' .. ARGV[i]
      if not claim or jobOf(claim) == own or jobOf(ARGV[2]) ~= own then
        redis.call('HSET', KEYS[1], ARGV[i], ARGV[2])
      end
      if ARGV[3] == '1' then redis.call('HSET', KEYS[1], '${COMMITS}' .. ARGV[i], '1') end
    end
  end
  redis.call('EXPIRE', KEYS[1], ARGV[1])
  return cancelled
`);

/** KEYS decisions; ARGV owner, then job ids. */
const releaseScript = defineScript(`
  for i = 2, #ARGV do
    if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[1] then redis.call('HDEL', KEYS[1], ARGV[i]) end
  end
`);

/** What was asked of and decided about the packs of a batch, in Redis under `prefix`. */
export function createCancellations(redis: RedisConnection, prefix: string): Cancellations {
  const key = (batchId: string) => `${prefix}:batch:{${batchId}}:decisions`;
  return {
    async request(batchId, jobId, failedStart) {
      const args = [jobId, TTL_SECONDS, `by:${jobId}/${failedStart ?? ''}`];
      return (await requestScript(redis, [key(batchId)], args)) === 1;
    },
    isCancelled: async (batchId, jobId) => (await redis.hget(key(batchId), jobId)) === CANCELLED,
    begin: async (batchId, jobId, toStore) =>
      (await beginScript(redis, [key(batchId)], [jobId, toStore ? 1 : 0])) === 1,
    async claim(batchId, jobIds, { owner, commits }) {
      const args = [TTL_SECONDS, `by:${owner}`, commits ? 1 : 0, ...jobIds];
      return new Set((await claimScript(redis, [key(batchId)], args)) as string[]);
    },
    async release(batchId, jobIds, owner) {
      await releaseScript(redis, [key(batchId)], [`by:${owner}`, ...jobIds]);
    },
    mayBeCommitted: async (batchId, jobId) => (await redis.hexists(key(batchId), COMMITS + jobId)) === 1,
    async overrule(batchId, jobId) {
      await redis.hset(key(batchId), jobId, 'by:convex');
    },
  };
}

/** Where cancelled jobs are called out. Nobody relies on hearing it: the hash is the truth. */
export const cancelChannel = (prefix: string): string => `${prefix}:cancelled`;

/** The error every file of a cancelled pack ends with, unless it was committed before. */
export function cancelledError(): AppError {
  return new AppError('CANCELLED', 'The upload was cancelled before it was committed.');
}
