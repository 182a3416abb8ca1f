import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { connectRedis, openBlocking, type RedisConnection, whenConnected } from '#redis/connection.ts';
import { startRedis, type TestRedis } from '#test/redis.ts';
import { until } from '#test/until.ts';
import { cancelChannel } from './cancellations.ts';
import { createJobWatch, type JobWatch } from './job-watch.ts';
import { jobOptions, type Lanes, openLanes } from './lanes.ts';

let server: TestRedis;
let redis: RedisConnection;
let lanes: Lanes;
let watching: JobWatch;
let prefix: string;
let tests = 0;

beforeAll(async () => {
  server = await startRedis();
  redis = connectRedis(server.url, 'caller', () => undefined);
  await whenConnected(redis, 5_000);
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});
beforeEach(() => {
  prefix = `watch-test-${++tests}`;
  lanes = openLanes(redis, prefix, () => undefined);
  watching = createJobWatch(redis, prefix, () => undefined);
});
afterEach(() => watching.close());

const add = (jobId: string) => lanes.small.add('upload', {}, jobOptions('upload', jobId));

it('tells of what happens from the moment a watch begins, and of that job only', async () => {
  await add('before-0');
  let told = 0;
  await watching.watch('mine-0', () => {
    told += 1;
  });
  await add('other-0');
  await add('mine-0');
  await until(() => told > 0, { within: 5_000, what: 'news of the job' });
  expect(told).toBe(1);
});

it('tells nobody who left, and still those who stayed', async () => {
  let left = 0;
  let stayed = 0;
  const stop = await watching.watch('mine-0', () => {
    left += 1;
  });
  await watching.watch('mine-0', () => {
    stayed += 1;
  });
  stop();
  await add('mine-0');
  await until(() => stayed > 0, { within: 5_000, what: 'news of the job' });
  expect(left).toBe(0);
});

it('tells of a cancellation, though nothing of the job changed in its queue', async () => {
  let told = 0;
  await watching.watch('mine-0', () => {
    told += 1;
  });
  await redis.publish(cancelChannel(prefix), 'other-0');
  await redis.publish(cancelChannel(prefix), 'mine-0');
  await until(() => told > 0, { within: 5_000, what: 'news of the job' });
  expect(told).toBe(1);
});

it('waits on connections that outlast the 10 s BullMQ waits for an event', () => {
  const blocking = openBlocking(redis);
  expect(blocking.options).toMatchObject({ enableOfflineQueue: true, maxRetriesPerRequest: null });
  expect(blocking.options).not.toHaveProperty('commandTimeout', expect.any(Number));
  expect((blocking.options as { socketTimeout?: number }).socketTimeout).toBeGreaterThan(11_000);
});
