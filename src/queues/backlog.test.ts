import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { connectRedis, type RedisConnection, whenConnected } from '#redis/connection.ts';
import { startRedis, type TestRedis } from '#test/redis.ts';
import { type Backlog, createBacklog } from './backlog.ts';
import { jobKey, lanePrefix } from './lanes.ts';
import { createPendingPacks, type PendingPacks } from './pending-packs.ts';

let server: TestRedis;
let redis: RedisConnection;
let pending: PendingPacks;
let backlog: Backlog;
let now: number;
beforeAll(async () => {
  server = await startRedis();
  redis = connectRedis(server.url, 'caller', () => undefined);
  await whenConnected(redis, 5_000);
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});
beforeEach(async () => {
  await redis.flushall();
  await redis.config('SET', 'maxmemory', '0');
  now = 0;
  pending = createPendingPacks(redis, 'backlog');
  backlog = createBacklog({ redis, pending, limits: { jobs: 3, bytes: 100 }, clock: () => now });
});

/** Packs as they wait; each has its job. */
async function wait(lane: 'small' | 'large', ...sizes: number[]) {
  const packs = sizes.map((size, index) => ({ jobId: `${lane}-${index}`, size }));
  for (const { jobId } of packs) await redis.hset(jobKey('backlog', lane, jobId), 'name', 'upload');
  await pending.add(lane, 'demo', packs);
}
/** Asks anew, whatever was remembered. */
async function room(): Promise<string> {
  now += 1_000;
  return backlog.requireRoom().then(
    () => 'room',
    ({ code, details }) => `${code}, retry after ${details.retryAfter}`,
  );
}
const FULL = 'BACKLOG_FULL, retry after 10';

test('there is room until as many jobs wait as may, over all lanes', async () => {
  await wait('small', 1, 1);
  expect(await room()).toBe('room');
  await wait('large', 1);
  expect(await room()).toBe(FULL);
  await pending.remove('small', 'demo', ['small-0']);
  expect(await room()).toBe('room');
});

test('there is room until as many bytes wait as may; adding and removing twice counts once', async () => {
  await wait('small', 60);
  await wait('small', 60);
  expect(await pending.waiting('small')).toEqual({ jobs: 1, bytes: 60 });
  await wait('large', 40);
  expect(await room()).toBe(FULL);
  for (const _ of [1, 2]) await pending.remove('large', 'demo', ['large-0']);
  expect(await pending.waiting('large')).toEqual({ jobs: 0, bytes: 0 });
  expect(await room()).toBe('room');
});

test('what was removed by hand stops to count once it would keep others out', async () => {
  await wait('small', 50, 50);
  await redis.del(jobKey('backlog', 'small', 'small-0'));
  expect(await room()).toBe('room');
  expect(await pending.waiting('small')).toEqual({ jobs: 1, bytes: 50 });
});

test('what was added again after its end stops to count too', async () => {
  await wait('small', 50, 50);
  for (const [set, jobId] of [
    ['completed', 'small-0'],
    ['failed', 'small-1'],
  ] as const)
    await redis.zadd(`${lanePrefix('backlog', 'small')}:small:${set}`, 1, jobId);
  expect(await room()).toBe('room');
  expect(await pending.waiting('small')).toEqual({ jobs: 0, bytes: 0 });
  expect(await pending.add('small', 'demo', [{ jobId: 'next', size: 1 }])).toEqual([1]);
});

test('what would not fit is refused before it is taken in', async () => {
  await wait('small', 50);
  await backlog.requireRoom(50);
  await expect(backlog.requireRoom(51)).rejects.toMatchObject({ code: 'BACKLOG_FULL' });
  await expect(backlog.requireRoom(101)).rejects.toMatchObject({ code: 'TOO_LARGE' });
});

test('nothing is taken in once Redis has little memory left', async () => {
  const used = Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1]);
  await redis.config('SET', 'maxmemory', String(used * 2));
  expect(await room()).toBe('room');
  await redis.config('SET', 'maxmemory', String(Math.floor(used * 1.1)));
  expect(await room()).toBe(FULL);
});

test('one answer serves all who ask within a moment', async () => {
  await room();
  await wait('small', 200);
  await backlog.requireRoom();
  expect(await room()).toBe(FULL);
});
