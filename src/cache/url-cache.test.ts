import { describe, expect, test } from 'vitest';
import { AppError } from '#errors';
import { urlCaches, urlEntry } from '#test/url-caches.ts';

const MINUTE = 60_000;

describe('layers', () => {
  test('Convex, then memory; for another process Redis', async () => {
    const { rows, state, cache, found } = urlCaches();
    rows.set('a', urlEntry('a'));
    const [one, two] = [cache(), cache()];
    expect((await found(one, 'a')).servedFrom).toBe('convex');
    expect((await found(one, 'a')).servedFrom).toBe('memory');
    expect((await found(two, 'a')).servedFrom).toBe('redis');
    expect(state.loads).toEqual([['a']]);
  });

  test('memory forgets after its time, Redis does not', async () => {
    const { rows, state, cache, found } = urlCaches();
    rows.set('a', urlEntry('a'));
    const one = cache();
    await found(one, 'a');
    state.now += 30_001;
    expect((await found(one, 'a')).servedFrom).toBe('redis');
  });

  test('many readers of one id are one search; many ids are one load', async () => {
    const { rows, state, cache } = urlCaches();
    for (const id of ['a', 'b', 'c']) rows.set(id, urlEntry(id));
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
    const { rows, state, cache, found } = urlCaches();
    rows.set('a', urlEntry('a', { status: 'uploading' }));
    const one = cache();
    const early = await found(one, 'a');
    await expect(one.url(early)).rejects.toMatchObject({ code: 'NOT_READY' });
    rows.set('a', urlEntry('a'));
    expect((await one.url(await found(one, 'a'))).url).toBe('http://api/objects/k/a?stored');
    expect(state.loads).toHaveLength(2);
  });

  test('a search that fails is not remembered either', async () => {
    let away = true;
    const { rows, cache, found } = urlCaches();
    rows.set('a', urlEntry('a'));
    const load = async () => {
      if (away) throw new AppError('METADATA_UNAVAILABLE', 'away');
      return [urlEntry('a')];
    };
    const one = cache({ load });
    await expect(one.find('a')).rejects.toMatchObject({ code: 'METADATA_UNAVAILABLE' });
    away = false;
    expect((await found(one, 'a')).servedFrom).toBe('convex');
  });

  test('an entry of another version of the code is a miss', async () => {
    const { redis, prefix, rows, cache, found } = urlCaches();
    rows.set('a', urlEntry('a'));
    await redis.hset(`${prefix}:url:a`, 'entry', '{"assetId":"a"}');
    expect((await found(cache(), 'a')).servedFrom).toBe('convex');
  });
});

describe('dropping', () => {
  test('reaches memory of every process', async () => {
    const { rows, cache, found } = urlCaches();
    rows.set('a', urlEntry('a'));
    const [one, two] = [cache(), cache()];
    await found(one, 'a');
    await found(two, 'a');
    rows.set('a', urlEntry('a', { s3Url: '/newer' }));
    await one.drop(['a'], { deleted: false });
    await expect.poll(async () => (await found(two, 'a')).entry.s3Url).toBe('/newer');
  });

  test('a deleted asset stays deleted, whatever Convex still shows', async () => {
    const { rows, cache, found } = urlCaches();
    rows.set('a', urlEntry('a'));
    const one = cache();
    await found(one, 'a');
    await one.drop(['a'], { deleted: true });
    await one.drop(['a'], { deleted: false });
    await expect(one.url(await found(one, 'a'))).rejects.toMatchObject({ code: 'GONE' });
    await expect(cache().url(await found(cache(), 'a'))).rejects.toMatchObject({ code: 'GONE' });
  });

  test.each([true, false])('a fill that began before a drop loses (deleted: %s)', async (deleted) => {
    const { cache, found, redis, prefix } = urlCaches();
    const loading = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const slow = cache({
      load: async () => {
        begun.resolve();
        await loading.promise;
        return [urlEntry('a', { s3Url: '/old' })];
      },
    });
    const late = slow.find('a');
    await begun.promise;
    await cache().drop(['a'], { deleted });
    loading.resolve();
    await late;
    expect(await redis.hget(`${prefix}:url:a`, 'entry')).toBe(deleted ? 'deleted' : null);
    const fresh = cache({ load: async () => [urlEntry('a', { s3Url: '/new' })] });
    expect((await found(fresh, 'a')).entry.s3Url).toBe('/new');
    expect((await found(slow, 'a')).servedFrom).not.toBe('memory');
  });
});

describe('the URL', () => {
  test('is the stored one until its last minute, then signed once for all', async () => {
    const { rows, state, cache, found } = urlCaches();
    rows.set('a', urlEntry('a'));
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
    const { rows, state, cache, found } = urlCaches();
    rows.set('a', urlEntry('a'));
    const one = cache();
    await one.url(await found(one, 'a'), { download: true });
    expect((await one.url(await found(one, 'a'))).url).toBe('http://api/objects/k/a?stored');
    expect(state.signs).toBe(1);
  });

  test('signing again never brings back what was dropped', async () => {
    const { redis, prefix, rows, cache, found } = urlCaches();
    rows.set('a', urlEntry('a', { urlExpiresAt: 0 }));
    const one = cache();
    const before = await found(one, 'a');
    await one.drop(['a'], { deleted: true });
    await one.url(before);
    expect(await redis.hget(`${prefix}:url:a`, 'entry')).toBe('deleted');
    await expect(one.url(await found(one, 'a'))).rejects.toMatchObject({ code: 'GONE' });
  });

  test('of a public asset is the public base and key; a changed base reaches old rows at once', async () => {
    const { rows, cache, found } = urlCaches();
    rows.set('a', urlEntry('a', { visibility: 'public', s3Key: 'k/ä b.mp4' }));
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
    const { rows, state, cache, found } = urlCaches();
    rows.set('a', urlEntry('a'));
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
    const { rows, cache, found } = urlCaches();
    rows.set('a', urlEntry('a'));
    const one = cache({ sign: () => Promise.reject(new AppError('STORE_UNAVAILABLE', 'away')) });
    expect(await one.url(await found(one, 'a'), { download: true })).toEqual({
      url: 'http://api/v1/assets/a/content?download=1',
      servedFrom: 'content',
    });
  });
});
