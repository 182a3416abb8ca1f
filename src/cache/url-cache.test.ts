import type { Redis } from 'ioredis';
import RedisMock from 'ioredis-mock';
import { afterEach, describe, expect, test } from 'vitest';
import { AppError } from '#errors';
import type { UrlEntry } from './entry.ts';
import { createUrlCache, type UrlCache, type UrlCachePorts } from './url-cache.ts';

const MINUTE = 60_000;
let prefixes = 0;
const open: UrlCache[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((cache) => cache.close()));
});

function entry(assetId: string, own: Partial<UrlEntry> = {}): UrlEntry {
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

/** Several caches (processes) over one Redis and one table of rows. */
function world(own: Partial<UrlCachePorts> = {}) {
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
      sign: async ({ assetId }) => ({ url: `/signed/${++state.signs}/${assetId}`, expiresAt: state.now + 60 * MINUTE }),
      onError: (_error, doing) => state.errors.push(doing),
      ...own,
      ...ports,
    });
    open.push(made);
    return made;
  };
  const found = async (from: UrlCache, assetId: string) => {
    const one = await from.find(assetId);
    if (!one) throw new Error(`${assetId} was not found`);
    return one;
  };
  return { redis, prefix, rows, known, state, cache, found };
}

describe('layers', () => {
  test('Convex, then memory; for another process Redis', async () => {
    const { rows, state, cache, found } = world();
    rows.set('a', entry('a'));
    const [one, two] = [cache(), cache()];
    expect((await found(one, 'a')).servedFrom).toBe('convex');
    expect((await found(one, 'a')).servedFrom).toBe('memory');
    expect((await found(two, 'a')).servedFrom).toBe('redis');
    expect(state.loads).toEqual([['a']]);
  });

  test('memory forgets after its time, Redis does not', async () => {
    const { rows, state, cache, found } = world();
    rows.set('a', entry('a'));
    const one = cache();
    await found(one, 'a');
    state.now += 30_001;
    expect((await found(one, 'a')).servedFrom).toBe('redis');
  });

  test('many readers of one id are one search; many ids are one load', async () => {
    const { rows, state, cache } = world();
    for (const id of ['a', 'b', 'c']) rows.set(id, entry(id));
    const one = cache();
    await Promise.all([one.findMany(['a', 'b']), one.findMany(['b', 'a']), one.find('b')]);
    const all = await one.findMany(['a', 'b', 'c', 'c', 'nowhere']);
    expect(state.loads).toEqual([
      ['a', 'b'],
      ['c', 'nowhere'],
    ]);
    expect([...all.keys()].toSorted()).toEqual(['a', 'b', 'c']);
  });

  test('only what is ready is remembered', async () => {
    const { rows, state, cache, found } = world();
    rows.set('a', entry('a', { status: 'uploading' }));
    const one = cache();
    const early = await found(one, 'a');
    await expect(one.url(early)).rejects.toMatchObject({ code: 'NOT_READY' });
    rows.set('a', entry('a'));
    expect((await one.url(await found(one, 'a'))).url).toBe('http://api/objects/k/a?stored');
    expect(state.loads).toHaveLength(2);
  });

  test('a search that fails is not remembered either', async () => {
    let away = true;
    const { rows, cache, found } = world();
    rows.set('a', entry('a'));
    const load = async () => {
      if (away) throw new AppError('METADATA_UNAVAILABLE', 'away');
      return [entry('a')];
    };
    const one = cache({ load });
    await expect(one.find('a')).rejects.toMatchObject({ code: 'METADATA_UNAVAILABLE' });
    away = false;
    expect((await found(one, 'a')).servedFrom).toBe('convex');
  });

  test('an entry of another version of the code is a miss', async () => {
    const { redis, prefix, rows, cache, found } = world();
    rows.set('a', entry('a'));
    await redis.hset(`${prefix}:url:a`, 'entry', '{"assetId":"a"}');
    expect((await found(cache(), 'a')).servedFrom).toBe('convex');
  });
});

describe('what is last known', () => {
  const away = () => Promise.reject(new AppError('METADATA_UNAVAILABLE', 'away'));

  test('with Convex away each id has its own answer: what is remembered, what is last known, that it was deleted, or why not', async () => {
    const { rows, known, state, cache, found } = world();
    rows.set('a', entry('a'));
    await found(cache(), 'a');
    known.set('b', entry('b', { s3Url: undefined, urlExpiresAt: undefined })).set('c', 'deleted');
    const one = cache({ load: away });
    const sought = await one.findMany(['a', 'b', 'c', 'd']);
    expect(Object.fromEntries(sought)).toMatchObject({
      a: { servedFrom: 'redis', entry: { s3Key: 'k/a' } },
      b: { servedFrom: 'redis', entry: { s3Key: 'k/b' } },
      c: { code: 'GONE' },
      d: { code: 'METADATA_UNAVAILABLE' },
    });
    expect(state.errors).toEqual(['asking Convex']);
    await expect(one.find('c')).rejects.toMatchObject({ code: 'GONE' });
    expect(await one.url(await found(one, 'b'))).toMatchObject({ servedFrom: 'signed', url: 'http://api/signed/1/b' });
  });

  test('what is last known is not remembered as found', async () => {
    const { known, redis, prefix, cache, found } = world();
    known.set('a', entry('a'));
    const one = cache({ load: away });
    await found(one, 'a');
    known.set('a', 'deleted');
    await expect(one.find('a')).rejects.toMatchObject({ code: 'GONE' });
    expect(await redis.exists(`${prefix}:url:a`)).toBe(0);
  });

  test('with Convex there, an asset on its way is not ready rather than unknown, and only Convex says ready', async () => {
    const { known, cache, found } = world();
    known
      .set('a', entry('a', { status: 'pending' }))
      .set('b', 'deleted')
      .set('c', entry('c'));
    const one = cache();
    expect([...(await one.findMany(['a', 'b', 'c', 'd'])).keys()].toSorted()).toEqual(['a', 'b']);
    await expect(one.url(await found(one, 'a'))).rejects.toMatchObject({ code: 'NOT_READY' });
    await expect(one.find('b')).rejects.toMatchObject({ code: 'GONE' });
  });

  test('what Convex refuses is not answered from what is last known', async () => {
    const { known, cache } = world();
    known.set('a', entry('a'));
    const one = cache({ load: () => Promise.reject(new AppError('METADATA_REJECTED', 'no')) });
    await expect(one.find('a')).rejects.toMatchObject({ code: 'METADATA_REJECTED' });
  });
});

describe('dropping', () => {
  test('reaches memory of every process', async () => {
    const { rows, cache, found } = world();
    rows.set('a', entry('a'));
    const [one, two] = [cache(), cache()];
    await found(one, 'a');
    await found(two, 'a');
    rows.set('a', entry('a', { s3Url: '/newer' }));
    await one.drop(['a'], { deleted: false });
    await expect.poll(async () => (await found(two, 'a')).entry.s3Url).toBe('/newer');
  });

  test('a deleted asset stays deleted, whatever Convex still shows', async () => {
    const { rows, cache, found } = world();
    rows.set('a', entry('a'));
    const one = cache();
    await found(one, 'a');
    await one.drop(['a'], { deleted: true });
    await one.drop(['a'], { deleted: false });
    await expect(one.url(await found(one, 'a'))).rejects.toMatchObject({ code: 'GONE' });
    await expect(cache().url(await found(cache(), 'a'))).rejects.toMatchObject({ code: 'GONE' });
  });

  test.each([true, false])('a fill that began before a drop loses (deleted: %s)', async (deleted) => {
    const { cache, found, redis, prefix } = world();
    const loading = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const slow = cache({
      load: async () => {
        begun.resolve();
        await loading.promise;
        return [entry('a', { s3Url: '/old' })];
      },
    });
    const late = slow.find('a');
    await begun.promise;
    await cache().drop(['a'], { deleted });
    loading.resolve();
    await late;
    expect(await redis.hget(`${prefix}:url:a`, 'entry')).toBe(deleted ? 'deleted' : null);
    const fresh = cache({ load: async () => [entry('a', { s3Url: '/new' })] });
    expect((await found(fresh, 'a')).entry.s3Url).toBe('/new');
    expect((await found(slow, 'a')).servedFrom).not.toBe('memory');
  });
});

describe('the URL', () => {
  test('is the stored one until its last minute, then signed once for all', async () => {
    const { rows, state, cache, found } = world();
    rows.set('a', entry('a'));
    const [one, two] = [cache(), cache()];
    state.now = 59 * MINUTE - 1;
    expect(await one.url(await found(one, 'a'))).toMatchObject({
      url: 'http://api/objects/k/a?stored',
      servedFrom: 'convex',
    });
    state.now = 59 * MINUTE;
    expect(await one.url(await found(one, 'a'))).toEqual({
      url: 'http://api/signed/1/a',
      expiresAt: 119 * MINUTE,
      servedFrom: 'signed',
    });
    expect(await one.url(await found(one, 'a'))).toMatchObject({ url: 'http://api/signed/1/a', servedFrom: 'memory' });
    expect(await two.url(await found(two, 'a'))).toMatchObject({ url: 'http://api/signed/1/a', servedFrom: 'redis' });
    expect(state.signs).toBe(1);
  });

  test('of a download is always signed and never remembered', async () => {
    const { rows, state, cache, found } = world();
    rows.set('a', entry('a'));
    const one = cache();
    await one.url(await found(one, 'a'), { download: true });
    expect((await one.url(await found(one, 'a'))).url).toBe('http://api/objects/k/a?stored');
    expect(state.signs).toBe(1);
  });

  test('signing again never brings back what was dropped', async () => {
    const { redis, prefix, rows, cache, found } = world();
    rows.set('a', entry('a', { urlExpiresAt: 0 }));
    const one = cache();
    const before = await found(one, 'a');
    await one.drop(['a'], { deleted: true });
    await one.url(before);
    expect(await redis.hget(`${prefix}:url:a`, 'entry')).toBe('deleted');
    await expect(one.url(await found(one, 'a'))).rejects.toMatchObject({ code: 'GONE' });
  });

  test('of a public asset is the public base and key; a changed base reaches old rows at once', async () => {
    const { rows, cache, found } = world();
    rows.set('a', entry('a', { visibility: 'public', s3Key: 'k/ä b.mp4' }));
    const old = cache({ publicBaseUrl: 'https://old.example' });
    expect(await old.url(await found(old, 'a'))).toEqual({
      url: 'https://old.example/k/%C3%A4%20b.mp4',
      servedFrom: 'convex',
    });
    const young = cache({ publicBaseUrl: 'https://new.example/base' });
    expect(await young.url(await found(young, 'a'))).toMatchObject({
      url: 'https://new.example/base/k/%C3%A4%20b.mp4',
      servedFrom: 'redis',
    });
    const moved = cache({ publicUrl: 'https://moved.example' });
    expect((await moved.url(await found(moved, 'a'))).url).toBe('https://moved.example/objects/k/a?stored');
    await expect(moved.url(await found(moved, 'a'), { type: 'public' })).rejects.toMatchObject({ code: 'CONFLICT' });
  });

  test('when signing fails is the last one that lives, else the content route', async () => {
    const { rows, state, cache, found } = world();
    rows.set('a', entry('a'));
    const one = cache({ sign: () => Promise.reject(new AppError('STORE_UNAVAILABLE', 'away')) });
    state.now = 59.5 * MINUTE;
    expect((await one.url(await found(one, 'a'))).url).toBe('http://api/objects/k/a?stored');
    state.now = 60 * MINUTE;
    expect(await one.url(await found(one, 'a'))).toEqual({
      url: 'http://api/v1/assets/a/content',
      servedFrom: 'content',
    });
    expect(state.errors).toEqual(['signing a URL', 'signing a URL']);
  });

  test('of a download that cannot be signed is the content route, which saves it too', async () => {
    const { rows, cache, found } = world();
    rows.set('a', entry('a'));
    const one = cache({ sign: () => Promise.reject(new AppError('STORE_UNAVAILABLE', 'away')) });
    expect(await one.url(await found(one, 'a'), { download: true })).toEqual({
      url: 'http://api/v1/assets/a/content?download=1',
      servedFrom: 'content',
    });
  });
});
