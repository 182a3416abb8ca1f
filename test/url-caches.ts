import type { Redis } from 'ioredis';
import RedisMock from 'ioredis-mock';
import { onTestFinished } from 'vitest';
import type { UrlEntry } from '#cache/entry.ts';
import { createUrlCache, type UrlCache, type UrlCachePorts } from '#cache/url-cache.ts';

const MINUTE = 60_000;
let prefixes = 0;

/** A ready asset whose stored URL lives for an hour of a clock that begins at 0. */
export function urlEntry(assetId: string, own: Partial<UrlEntry> = {}): UrlEntry {
  return {
    assetId,
    entity: { project: 'demo', session: 's', scene: 'c' },
    ...{
      assetType: 'video_chunk',
      filename: 'a.mp4',
      contentType: 'video/mp4',
      visibility: 'private',
      status: 'ready',
    },
    ...{ version: 1, s3Key: `k/${assetId}`, s3Url: `/objects/k/${assetId}?stored`, urlExpiresAt: 60 * MINUTE },
    ...own,
  };
}

/** Several caches (processes) over one Redis and one table of rows; they are closed when the test has finished. */
export function urlCaches() {
  const prefix = `cache-${++prefixes}`;
  const redis: Redis = new RedisMock({ port: prefixes });
  const rows = new Map<string, UrlEntry>();
  const known = new Map<string, UrlEntry | 'deleted'>();
  const state = { now: 1, loads: [] as string[][], signs: 0, errors: [] as string[] };
  const cache = (ports: Partial<UrlCachePorts> = {}) => {
    const made = createUrlCache({
      ...{ redis, prefix, memory: { max: 100, ttlMs: 30_000 }, clock: () => state.now },
      ...{ publicUrl: 'http://api', publicBaseUrl: undefined },
      load: async (assetIds) => {
        state.loads.push([...assetIds]);
        return assetIds.flatMap((assetId) => rows.get(assetId) ?? []);
      },
      recall: async (assetIds) => new Map([...known].filter(([assetId]) => assetIds.includes(assetId))),
      forget: async (assetIds) => {
        for (const assetId of assetIds) known.delete(assetId);
      },
      sign: async ({ assetId }) => ({ url: `/signed/${++state.signs}/${assetId}`, expiresAt: state.now + 60 * MINUTE }),
      onError: (_error, doing) => state.errors.push(doing),
      ...ports,
    });
    onTestFinished(() => made.close());
    return made;
  };
  const found = async (from: UrlCache, assetId: string) => {
    const one = await from.find(assetId);
    if (!one) throw new Error(`${assetId} was not found`);
    return one;
  };
  return { redis, prefix, rows, known, state, cache, found };
}
