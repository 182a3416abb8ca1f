import type { AssetFacts, Fence, StoredFacts } from '#domain';
import type { RedisConnection } from '#redis/connection.ts';
import { defineScript } from '#redis/script.ts';
import type { Lane } from './catalog.ts';

/** A file whose bytes are in the store, verified there, and whose commit waits for the end of its batch. */
export interface StoredFile {
  readonly facts: AssetFacts;
  readonly stored: StoredFacts;
  readonly lane: Lane;
  /** Lower than that of any status written after it was stored. */
  readonly fence: Fence;
  readonly attempt: number;
  readonly maxAttempts: number;
  /** Its commit was refused, and its object may be in quarantine. */
  readonly refused?: boolean | undefined;
}

/**
 * What the packs of a batch have stored, for the job that ends it to commit: a hash beside the batch's record, so that
 * it outlives the packs. A file stays in it until it is ready or cancelled, however long its end is a dead letter.
 */
export interface StoredFiles {
  /** Before the files count as ended. `staged`: keys that nobody needs once these are committed, `packed` by the job. */
  put(batchId: string, files: readonly StoredFile[], pack: { jobId: string; staged: readonly string[] }): Promise<void>;
  /** Ids of the files that wait. */
  list(batchId: string): Promise<string[]>;
  get(batchId: string, assetIds: readonly string[]): Promise<StoredFile[]>;
  /** Notes of files that still wait that their commit was refused. */
  markRefused(batchId: string, files: readonly StoredFile[]): Promise<void>;
  remove(batchId: string, assetIds: readonly string[]): Promise<void>;
  /** Staged keys of packs none of whose files waits any more, by job. */
  needless(batchId: string): Promise<{ jobId: string; keys: string[] }[]>;
  forgetStaged(batchId: string, jobIds: readonly string[]): Promise<void>;
  /** The end of the batch was discarded: what no other end takes in 30 days is forgotten. */
  expire(batchId: string): Promise<void>;
}

const TTL_SECONDS = 30 * 86_400;

const FILE = 'file:';
const STAGED = 'staged:';

/** KEYS stored; ARGV fields and values. Another end of the batch may have committed a file meanwhile. */
const replaceScript = defineScript(`
  for i = 1, #ARGV, 2 do
    if redis.call('HEXISTS', KEYS[1], ARGV[i]) == 1 then redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
  end
`);

/** The files of a batch that are stored and wait for its commit; in Redis under `prefix`. */
export function createStoredFiles(redis: RedisConnection, prefix: string): StoredFiles {
  const key = (batchId: string) => `${prefix}:batch:{${batchId}}:stored`;
  const fieldsOf = async (batchId: string, start: string) =>
    (await redis.hkeys(key(batchId)))
      .filter((field) => field.startsWith(start))
      .map((field) => field.slice(start.length));

  async function get(batchId: string, assetIds: readonly string[]): Promise<StoredFile[]> {
    if (assetIds.length === 0) return [];
    const values = await redis.hmget(key(batchId), ...assetIds.map((assetId) => FILE + assetId));
    return values.flatMap((value) => (value === null ? [] : [JSON.parse(value) as StoredFile]));
  }

  return {
    async put(batchId, files, { jobId, staged }) {
      const fields = Object.fromEntries(files.map((file) => [FILE + file.facts.assetId, JSON.stringify(file)]));
      if (staged.length > 0) fields[STAGED + jobId] = JSON.stringify(staged);
      if (Object.keys(fields).length === 0) return;
      await redis.multi().hset(key(batchId), fields).persist(key(batchId)).exec();
    },
    list: (batchId) => fieldsOf(batchId, FILE),
    get,
    async markRefused(batchId, files) {
      const args = files.flatMap((file) => [FILE + file.facts.assetId, JSON.stringify({ ...file, refused: true })]);
      await replaceScript(redis, [key(batchId)], args);
    },
    async remove(batchId, assetIds) {
      if (assetIds.length > 0) await redis.hdel(key(batchId), ...assetIds.map((assetId) => FILE + assetId));
    },
    async needless(batchId) {
      const jobIds = await fieldsOf(batchId, STAGED);
      if (jobIds.length === 0) return [];
      const waiting = await get(batchId, await fieldsOf(batchId, FILE));
      const needed = new Set(waiting.map(({ facts }) => facts.jobId));
      const over = jobIds.filter((jobId) => !needed.has(jobId));
      if (over.length === 0) return [];
      const values = await redis.hmget(key(batchId), ...over.map((jobId) => STAGED + jobId));
      return over.map((jobId, index) => ({ jobId, keys: JSON.parse(values[index] ?? '[]') as string[] }));
    },
    async forgetStaged(batchId, jobIds) {
      if (jobIds.length > 0) await redis.hdel(key(batchId), ...jobIds.map((jobId) => STAGED + jobId));
    },
    expire: async (batchId) => void (await redis.expire(key(batchId), TTL_SECONDS)),
  };
}
