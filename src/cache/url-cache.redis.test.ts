import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectRedis, whenConnected } from '#redis/connection.ts';
import { startRedis, type TestRedis } from '#test/redis.ts';
import type { UrlEntry } from './entry.ts';
import { createUrlCache } from './url-cache.ts';

let server: TestRedis;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.stop());

async function connect() {
  const redis = connectRedis(server.url, 'caller', () => {});
  await whenConnected(redis, 10_000);
  return redis;
}

test('on a real Redis: entries and tombstones expire, drops are heard, and an outage costs no answer', async () => {
  const redis = await connect();
  const row = { value: 'one' };
  const process = () =>
    createUrlCache({
      ...{ redis, prefix: 'real', memory: { max: 10, ttlMs: 30_000 }, clock: Date.now },
      ...{ publicUrl: 'http://api', publicBaseUrl: undefined },
      load: async (assetIds) =>
        assetIds.map((assetId): UrlEntry => {
          const entity = { project: 'p', session: 's' };
          const facts = { assetId, entity, assetType: 'manifest', filename: row.value, contentType: 'a/b' } as const;
          return { ...facts, visibility: 'private', status: 'ready', s3Key: 'k', s3Url: '/u', urlExpiresAt: 8e15 };
        }),
      recall: async () => new Map(),
      forget: async () => undefined,
      sign: async () => ({ url: '/signed', expiresAt: 8e15 }),
      onError: () => {},
    });
  const [one, two] = [process(), process()];
  const seen = async (cache: typeof one) => {
    const found = await cache.find('a');
    return [found?.entry.filename, found?.servedFrom];
  };

  expect(await seen(one)).toEqual(['one', 'convex']);
  expect(await seen(two)).toEqual(['one', 'redis']);
  expect(await redis.pttl('real:url:a')).toBeGreaterThan(0);

  row.value = 'two';
  await expect.poll(() => redis.pubsub('NUMSUB', 'real:url-drops')).toEqual(['real:url-drops', 2]);
  await one.drop(['a'], { deleted: false });
  expect(await redis.pttl('real:url:a')).toBeGreaterThan(0);
  await expect.poll(() => seen(two)).toEqual(['two', expect.any(String)]);

  await server.kill();
  row.value = 'three';
  expect((await seen(two))[0]).toBe('two');
  expect((await one.find('b'))?.entry.filename).toBe('three');
  await expect(one.drop(['a'], { deleted: true })).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });

  await server.start();
  await expect
    .poll(() => redis.pubsub('NUMSUB', 'real:url-drops').catch(() => []), { timeout: 10_000 })
    .toEqual(['real:url-drops', 2]);
  await expect.poll(async () => (await seen(two))[1], { timeout: 10_000 }).not.toBe(undefined);
  await one.drop(['a'], { deleted: true });
  await expect.poll(async () => (await two.find('a'))?.entry.status).toBe('deleted');
  await Promise.all([one.close(), two.close()]);
  redis.disconnect();
});
