import { LRUCache } from 'lru-cache';
import { AppError } from '#errors';
import type { RedisConnection } from '#redis/connection.ts';
import { absolute, type Bases, type ChosenUrl, chooseUrl, storedUrl, type UrlWish } from './choose-url.ts';
import { listenForDrops } from './drops.ts';
import type { UrlEntry } from './entry.ts';
import { createLookup, type Found } from './lookup.ts';
import { createPatience } from './patience.ts';
import { createSharedLayer } from './shared-layer.ts';

export interface UrlCachePorts extends Bases {
  /** For a caller: commands fail at once while it is away. */
  readonly redis: RedisConnection;
  readonly prefix: string;
  /** `ttlMs` at most 30 s: it bounds how long a deletion can go unseen when pub/sub lost it. */
  readonly memory: { readonly max: number; readonly ttlMs: number };
  readonly clock: () => number;
  /** The rows there are; throws `METADATA_UNAVAILABLE`. */
  readonly load: (assetIds: readonly string[]) => Promise<readonly UrlEntry[]>;
  /** A fresh signed URL, a path when the API serves it. */
  readonly sign: (entry: UrlEntry, options: { download: boolean }) => Promise<{ url: string; expiresAt: number }>;
  readonly onError: (error: unknown, doing: string) => void;
}

export interface ServedUrl extends ChosenUrl {
  readonly servedFrom: Found['servedFrom'] | 'signed' | 'content';
}

/** URLs by asset id: memory over Redis over Convex. Redis being away costs speed, never an answer. */
export interface UrlCache {
  find(assetId: string): Promise<Found | undefined>;
  /** One round trip to each layer for all ids; those without a row are left out. At most 1,000. */
  findMany(assetIds: readonly string[]): Promise<Map<string, Found>>;
  /**
   * A URL for what was found. Throws `GONE` when it was deleted, `NOT_READY` before it is stored, `CONFLICT`
   * when it failed or has no URL of the wished type.
   */
  url(found: Found, wish?: UrlWish): Promise<ServedUrl>;
  /**
   * Forgets the assets in every process; `deleted` leaves a tombstone that no late fill
   * overwrites. Throws `QUEUE_UNAVAILABLE` when not all could be told: call again.
   */
  drop(assetIds: readonly string[], options: { deleted: boolean }): Promise<void>;
  close(): Promise<void>;
}

/** Opens the cache and listens for drops of other processes until it is closed; the connection stays the caller's. */
export function createUrlCache(ports: UrlCachePorts): UrlCache {
  const { redis, prefix, clock, onError } = ports;
  const memory = new LRUCache<string, UrlEntry>({
    max: ports.memory.max,
    ttl: ports.memory.ttlMs,
    perf: { now: clock },
    ttlResolution: 0,
  });
  const shared = createSharedLayer(redis, prefix);
  const lookup = createLookup({ memory, shared, patience: createPatience(clock, onError), load: ports.load });
  const drops = listenForDrops(redis, prefix, lookup, onError);

  async function sign(found: Found, wish: UrlWish): Promise<ServedUrl> {
    const { entry } = found;
    const download = wish.download ?? false;
    try {
      const { url, expiresAt } = await ports.sign(entry, { download });
      if (!download) await lookup.refresh({ ...entry, s3Url: url, urlExpiresAt: expiresAt });
      return { url: absolute(url, ports), expiresAt, servedFrom: 'signed' };
    } catch (error) {
      onError(error, 'signing a URL');
      const last = storedUrl(entry, ports, clock());
      return last
        ? { ...last, servedFrom: found.servedFrom }
        : { url: `${ports.publicUrl}/v1/assets/${encodeURIComponent(entry.assetId)}/content`, servedFrom: 'content' };
    }
  }

  return {
    find: async (assetId) => (await lookup.findMany([assetId])).get(assetId),
    findMany: lookup.findMany,
    async url(found, wish = {}) {
      requireReady(found.entry);
      const chosen = chooseUrl(found.entry, wish, ports, clock());
      return chosen ? { ...chosen, servedFrom: found.servedFrom } : sign(found, wish);
    },
    async drop(assetIds, { deleted }) {
      lookup.forget(assetIds);
      try {
        await shared.drop(assetIds, deleted);
        await drops.announce(assetIds);
      } catch (cause) {
        throw new AppError('QUEUE_UNAVAILABLE', 'Redis did not take the invalidation.', { cause });
      }
    },
    close: () => drops.close(),
  };
}

/** Throws unless the asset is there to be read. */
export function requireReady({ assetId, status }: UrlEntry): void {
  if (status === 'ready') return;
  if (status === 'deleted') throw new AppError('GONE', `Asset ${assetId} was deleted.`);
  if (status === 'error') throw new AppError('CONFLICT', `Asset ${assetId} failed; its status says why.`);
  throw new AppError('NOT_READY', `Asset ${assetId} is ${status}.`);
}
