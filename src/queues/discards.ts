import type { RedisConnection } from '#redis/connection.ts';
import { defineScript } from '#redis/script.ts';
import { LANES, type Lane, readAnyPack } from './catalog.ts';
import { type DeadLetter, failedKey } from './dead-letter-page.ts';
import { forgetJobFacts, readJobFacts } from './job-facts.ts';
import { jobKey, type Lanes, lanePrefix } from './lanes.ts';
import type { PendingPacks } from './pending-packs.ts';
import { createStoredFiles } from './stored-files.ts';

/** A dead letter on its way out. */
export interface Discarded {
  readonly jobId: string;
  readonly lane: Lane;
  /** Name of the job; empty when nothing of it is left. */
  readonly job: string;
  /** As it was enqueued, by any version. */
  readonly data: unknown;
  readonly facts: Readonly<Record<string, string>>;
}

/**
 * Dead letters that go for good. First each is claimed, in one step that a replay cannot come between; then what it left
 * elsewhere is tidied up, and the job forgotten. What was claimed is noted until it is forgotten, so that a crash leaves
 * nothing behind that the next one does not find.
 */
export interface Discards {
  /** Answers how many were claimed: not one that is no dead letter any more, or that failed anew after `failedBy`. */
  claim(letters: readonly DeadLetter[], failedBy: number): Promise<number>;
  /** What is claimed and not forgotten, whoever claimed it. */
  claimed(): Promise<Pick<Discarded, 'jobId' | 'lane'>[]>;
  read(claimed: Pick<Discarded, 'jobId' | 'lane'>): Promise<Discarded>;
  /** Removes what is left of the job, once it has been tidied up behind. */
  forget(discarded: Discarded): Promise<void>;
}

/** KEYS failed, discarding; ARGV failedBy, then ids. */
const claimScript = defineScript(`
  local claimed = 0
  for at = 2, #ARGV do
    local score = redis.call('ZSCORE', KEYS[1], ARGV[at])
    if score and tonumber(score) <= tonumber(ARGV[1]) then
      redis.call('ZREM', KEYS[1], ARGV[at])
      redis.call('ZADD', KEYS[2], score, ARGV[at])
      claimed = claimed + 1
    end
  end
  return claimed
`);

/** The discards of the lanes under `prefix`. */
export function createDiscards(
  redis: RedisConnection,
  prefix: string,
  { lanes, pending }: { lanes: Lanes; pending: Pick<PendingPacks, 'remove'> },
): Discards {
  const storedFiles = createStoredFiles(redis, prefix);
  const discardingKey = (lane: Lane) => `${lanePrefix(prefix, lane)}:discarding`;

  return {
    async claim(letters, failedBy) {
      let claimed = 0;
      for (const [lane, own] of Map.groupBy(letters, ({ lane }) => lane)) {
        const keys = [failedKey(prefix, lane), discardingKey(lane)];
        claimed += Number(await claimScript(redis, keys, [failedBy, ...own.map(({ jobId }) => jobId)]));
      }
      return claimed;
    },
    async claimed() {
      const ids = await Promise.all(LANES.map((lane) => redis.zrange(discardingKey(lane), '0', '-1')));
      return LANES.flatMap((lane, index) => (ids[index] ?? []).map((jobId) => ({ lane, jobId })));
    },
    async read({ lane, jobId }) {
      const [[job, data], facts] = await Promise.all([
        redis.hmget(jobKey(prefix, lane, jobId), 'name', 'data'),
        readJobFacts(redis, prefix, lane, jobId),
      ]);
      return { jobId, lane, job: job ?? '', data: readJson(data), facts };
    },
    async forget({ lane, jobId, job, data }) {
      const { batchId, entity } = readAnyPack(data);
      if (job === 'batch-end') await storedFiles.expire(batchId);
      await pending.remove(lane, entity.project, [jobId]);
      await forgetJobFacts(redis, prefix, lane, jobId);
      await lanes[lane].remove(jobId, { removeChildren: false });
      await redis.zrem(discardingKey(lane), jobId);
    },
  };
}

function readJson(text: string | null | undefined): unknown {
  try {
    return JSON.parse(text ?? 'null');
  } catch {
    return null;
  }
}
