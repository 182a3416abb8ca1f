import { LRUCache } from 'lru-cache';
import { AppError } from '#errors';
import type { RedisConnection } from '#redis/connection.ts';
import { absolute, type Bases, type ChosenUrl, chooseUrl, storedUrl, type UrlWish } from './choose-url.ts';
import { listenForDrops } from './drops.ts';
import type { UrlEntry } from './entry.ts';
import { createLookup, deletedAsset, type Found, type Sought } from './lookup.ts';
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
  /**
   * What is known of assets whose row is still on its way, or while `load` throws that Convex is away; `deleted` for
   * what has a tombstone. Never rejects.
   */
  readonly recall: (assetIds: readonly string[]) => Promise<ReadonlyMap<string, UrlEntry | 'deleted'>>;
  /** Drops what `recall` would say of assets; rejects when it cannot. */
  readonly forget: (assetIds: readonly string[]) => Promise<void>;
  /** A fresh signed URL, a path when the API serves it. */
  readonly sign: (entry: UrlEntry, options: { download: boolean }) => Promise<{ url: string; expiresAt: number }>;
  readonly onError: (error: unknown, doing: string) => void;
}

export interface ServedUrl extends ChosenUrl {
  readonly servedFrom: Found['servedFrom'] | 'signed' | 'content';
}

/**
 * URLs by asset id: memory over Redis over Convex. Redis being away costs speed, never an answer; with Convex away
 * what is last known of an asset is the answer, and of one nobody knows `METADATA_UNAVAILABLE`.
 */
export interface UrlCache {
  /** Throws `METADATA_UNAVAILABLE`, or `GONE` when there is no row but a tombstone. */
  find(assetId: string): Promise<Found | undefined>;
  /**
   * One round trip to each layer for all ids, at most 1,000. Those that nobody knows are left out; what `find`
   * would throw stands in the place of what was found.
   */
  findMany(assetIds: readonly string[]): Promise<Map<string, Sought>>;
  /**
   * A URL for what was found; when it cannot be signed the last one that lives, else the content route. Throws `GONE`
   * when it was deleted, `NOT_READY` before it is stored, `CONFLICT` when it failed or has no URL of the wished type.
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
  const patience = createPatience(clock, onError);
  const lookup = createLookup({ memory, shared, patience, load: ports.load, recall: ports.recall, onError });
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
      const last = download ? undefined : storedUrl(entry, ports, clock());
      return last ? { ...last, servedFrom: found.servedFrom } : contentRoute(entry, download);
    }
  }

  function contentRoute({ assetId }: UrlEntry, download: boolean): ServedUrl {
    const path = `/v1/assets/${encodeURIComponent(assetId)}/content${download ? '?download=1' : ''}`;
    return { url: ports.publicUrl + path, servedFrom: 'content' };
  }

  return {
    async find(assetId) {
      const sought = (await lookup.findMany([assetId])).get(assetId);
      if (sought instanceof AppError) throw sought;
      return sought;
    },
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
        await ports.forget(assetIds);
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
  if (status === 'deleted') throw deletedAsset(assetId);
  if (status === 'error') throw new AppError('CONFLICT', `Asset ${assetId} failed; its status says why.`);
  throw new AppError('NOT_READY', `Asset ${assetId} is ${status}.`);
}
