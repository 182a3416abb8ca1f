import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectRedis, type RedisConnection, whenConnected } from '#redis/connection.ts';
import { startRedis, type TestRedis } from '#test/redis.ts';
import { until } from '#test/until.ts';
import { closeLanes, type Lanes, openLanes } from './lanes.ts';
import { keepSchedules, type Schedules, schedulesOf } from './schedules.ts';

const SCHEDULES = schedulesOf({ everyMs: 86_400_000, repair: false });

let server: TestRedis;
let redis: RedisConnection;
let lanes: Lanes;

beforeAll(async () => {
  server = await startRedis();
  redis = connectRedis(server.url, 'worker', () => undefined);
  await whenConnected(redis, 5_000);
  lanes = openLanes(redis, 'schedules-test', () => undefined);
});
afterAll(async () => {
  await closeLanes(lanes);
  redis.disconnect();
  await server.stop();
});

const schedulers = () => lanes.maintenance.getJobSchedulers(0, 100, true);
const delayed = async () => (await lanes.maintenance.getDelayed()).map(({ name, opts }) => [name, opts.attempts]);

/** What the queue has once all schedules are there, and have been looked at again. */
async function kept(now: number, schedules: Schedules = SCHEDULES) {
  const errors: unknown[] = [];
  const { stop } = keepSchedules(
    lanes.maintenance,
    schedules,
    () => now,
    (error) => errors.push(error),
  );
  const count = Object.values(schedules).filter(Boolean).length;
  await until(async () => (await schedulers()).length === count, { within: 5_000, what: 'the schedules' });
  stop();
  expect(errors).toEqual([]);
  return (await schedulers()).map(({ key, every, next }) => [key, every, next]).toSorted();
}

describe('the schedules', () => {
  it('come first after the time they are apart, and keep their times whoever starts later', async () => {
    const now = Date.now();
    const expected = Object.entries(SCHEDULES).map(([name, { every } = { every: 0 }]) => [name, every, now + every]);
    expect(await kept(now)).toEqual(expected.toSorted());
    expect((await delayed()).toSorted()).toEqual(
      Object.keys(SCHEDULES)
        .map((name) => [name, expect.any(Number)])
        .toSorted(),
    );
    expect(await kept(now + 1_000)).toEqual(expected.toSorted());
    expect(await lanes.maintenance.getDelayedCount()).toBe(Object.keys(SCHEDULES).length);
  });

  it('follow the configuration: one that is wanted no more is taken out', async () => {
    const names = (await kept(Date.now(), schedulesOf({ everyMs: 0, repair: false }))).map(([name]) => name);
    expect(names).toEqual(['dead-letter-sweep', 'scrub']);
  });
});
