import type { RedisConnection } from '#redis/connection.ts';
import { parseEntry, printEntry, type UrlEntry } from './entry.ts';

/** What Redis says of an asset. `epoch` rises with each invalidation; a fill must show the one it began at. */
export interface Remembered {
  readonly epoch: string;
  readonly value?: UrlEntry | 'deleted' | undefined;
}

/**
 * L2: a hash per asset, `{ entry, epoch }`. A fill that began before an invalidation finds another epoch
 * and loses. Every method rejects when Redis does not answer; the caller goes on without.
 */
export interface SharedLayer {
  read(assetIds: readonly string[]): Promise<Map<string, Remembered>>;
  /** False when the epoch moved on, so that the entry may be old news. */
  fill(entry: UrlEntry, epoch: string): Promise<boolean>;
  /** Puts a newer URL into an entry that is there; never brings one back. */
  refresh(entry: UrlEntry): Promise<void>;
  drop(assetIds: readonly string[], deleted: boolean): Promise<void>;
}

const HOUR_MS = 3_600_000;
/** A tombstone outlives every URL that was ever signed (7 days at most). */
const TOMBSTONE_MS = 8 * 24 * HOUR_MS;
const TOMBSTONE = 'deleted';

/** KEYS asset; ARGV epoch, entry, ttl. */
const FILL = `
  if (redis.call('HGET', KEYS[1], 'epoch') or '') ~= ARGV[1] then return 0 end
  redis.call('HSET', KEYS[1], 'entry', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  return 1`;

/** KEYS asset; ARGV entry, tombstone. */
const REFRESH = `
  local present = redis.call('HGET', KEYS[1], 'entry')
  if present and present ~= ARGV[2] then redis.call('HSET', KEYS[1], 'entry', ARGV[1]) end`;

/** KEYS asset; ARGV ttl, then the tombstone when the asset was deleted. A tombstone stays one. */
const DROP = `
  redis.call('HINCRBY', KEYS[1], 'epoch', 1)
  if ARGV[2] then redis.call('HSET', KEYS[1], 'entry', ARGV[2])
  elseif redis.call('HGET', KEYS[1], 'entry') == '${TOMBSTONE}' then return
  else redis.call('HDEL', KEYS[1], 'entry') end
  redis.call('PEXPIRE', KEYS[1], ARGV[1])`;

/** The entries that all processes share, in Redis under `prefix`. */
export function createSharedLayer(redis: RedisConnection, prefix: string): SharedLayer {
  const key = (assetId: string) => `${prefix}:url:${assetId}`;
  return {
    async read(assetIds) {
      // Sent together all the same, but no pipeline: on a Cluster its keys would have to be on one node.
      const read = assetIds.map(async (assetId) => {
        const [epoch, text] = await redis.hmget(key(assetId), 'epoch', 'entry');
        return [assetId, toRemembered(epoch, text)] as const;
      });
      return new Map(await Promise.all(read));
    },
    async fill(entry, epoch) {
      return (await redis.eval(FILL, 1, key(entry.assetId), epoch, printEntry(entry), HOUR_MS)) === 1;
    },
    async refresh(entry) {
      await redis.eval(REFRESH, 1, key(entry.assetId), printEntry(entry), TOMBSTONE);
    },
    async drop(assetIds, deleted) {
      const args = deleted ? [TOMBSTONE_MS, TOMBSTONE] : [HOUR_MS];
      await Promise.all(assetIds.map((assetId) => redis.eval(DROP, 1, key(assetId), ...args)));
    },
  };
}

function toRemembered(epoch: string | null | undefined, text: string | null | undefined): Remembered {
  const value = text === TOMBSTONE ? TOMBSTONE : text ? parseEntry(text) : undefined;
  return { epoch: epoch ?? '', value };
}
