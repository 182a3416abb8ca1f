import { describe, expect, test } from 'vitest';
import { AppError } from '#errors';
import { urlCaches, urlEntry } from '#test/url-caches.ts';

describe('what is last known', () => {
  const away = () => Promise.reject(new AppError('METADATA_UNAVAILABLE', 'away'));

  test('with Convex away each id has its own answer: what is remembered, what is last known, that it was deleted, or why not', async () => {
    const { rows, known, state, cache, found } = urlCaches();
    rows.set('a', urlEntry('a'));
    await found(cache(), 'a');
    known.set('b', urlEntry('b', { s3Url: undefined, urlExpiresAt: undefined })).set('c', 'deleted');
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
    const { known, redis, prefix, cache, found } = urlCaches();
    known.set('a', urlEntry('a'));
    const one = cache({ load: away });
    await found(one, 'a');
    known.set('a', 'deleted');
    await expect(one.find('a')).rejects.toMatchObject({ code: 'GONE' });
    expect(await redis.exists(`${prefix}:url:a`)).toBe(0);
  });

  test('with Convex there, an asset on its way is not ready rather than unknown, and only Convex says ready', async () => {
    const { known, cache, found } = urlCaches();
    known
      .set('a', urlEntry('a', { status: 'pending' }))
      .set('b', 'deleted')
      .set('c', urlEntry('c'));
    const one = cache();
    expect([...(await one.findMany(['a', 'b', 'c', 'd'])).keys()].toSorted()).toEqual(['a', 'b']);
    await expect(one.url(await found(one, 'a'))).rejects.toMatchObject({ code: 'NOT_READY' });
    await expect(one.find('b')).rejects.toMatchObject({ code: 'GONE' });
  });

  test('what Convex refuses is not answered from what is last known', async () => {
    const { known, cache } = urlCaches();
    known.set('a', urlEntry('a'));
    const one = cache({ load: () => Promise.reject(new AppError('METADATA_REJECTED', 'no')) });
    await expect(one.find('a')).rejects.toMatchObject({ code: 'METADATA_REJECTED' });
  });
});
