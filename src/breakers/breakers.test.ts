import type { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AppError, type ErrorCode } from '#errors';
import { connectRedis, whenConnected } from '#redis/connection.ts';
import { startRedis, type TestRedis } from '#test/redis.ts';
import { until } from '#test/until.ts';
import { createBreakerBoard } from './board.ts';
import { guardPorts } from './breakers.ts';

let server: TestRedis;
let redis: Redis;
beforeAll(async () => {
  server = await startRedis();
  redis = connectRedis(server.url, 'caller', () => undefined) as Redis;
  await whenConnected(redis, 10_000);
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

/** A process whose store is away until told otherwise. */
function open(prefix: string, name: string) {
  const told: unknown[] = [];
  const state: { isAway: boolean; code?: ErrorCode } = { isAway: true };
  const ask = async () => {
    if (state.code) throw new AppError(state.code, 'Something else.');
    if (state.isAway) throw new AppError('STORE_UNAVAILABLE', 'Nobody answers.');
  };
  const guarded = guardPorts({
    store: { head: ask, direct: { begin: ask }, check: ask, close: async () => undefined },
    metadata: { check: async () => undefined },
    ...{ board: createBreakerBoard(redis, prefix), process: name, clock: () => 7, probeEveryMs: 10 },
    onChange: (dependency, isOpen) => told.push([dependency, isOpen]),
    onError: (error) => told.push(error),
  });
  const trip = async () => {
    const { direct, head } = guarded.store;
    for (const one of [direct.begin, head, head, head, head]) await one().catch(() => undefined);
  };
  return { ...guarded, told, trip, state };
}

test('each process shows its open breakers to all, until they close', async () => {
  const [api, worker] = [open('shown', 'api'), open('shown', 'worker')];
  expect(await api.breakers.list()).toEqual([]);
  await worker.trip();
  const shown = [{ dependency: 'store', process: 'worker', since: 7 }];
  await until(async () => (await api.breakers.list()).length === 1, { within: 5_000, what: 'it to be shown' });
  expect(await api.breakers.list()).toEqual(shown);
  await api.metadata.check();
  worker.state.isAway = false;
  await until(async () => (await api.breakers.list()).length === 0, { within: 5_000, what: 'it to be shown no more' });
  expect(worker.told).toEqual([
    ['store', true],
    ['store', false],
  ]);
  api.close();
  worker.close();
});

test('what a process showed that is no more is forgotten', async () => {
  const worker = open('forgotten', 'worker');
  await worker.trip();
  await until(async () => (await worker.breakers.list()).length === 1, { within: 5_000, what: 'it to be shown' });
  expect(await redis.pttl('forgotten:breakers')).toBeGreaterThan(0);
  // Half a minute later by the clock of Redis.
  const [[field = '', value = ''] = []] = Object.entries(await redis.hgetall('forgotten:breakers'));
  await redis.hset(
    'forgotten:breakers',
    field,
    value.replace(/^\d+/, (time) => String(Number(time) - 30_000)),
  );
  expect(await worker.breakers.list()).toEqual([]);
  worker.close();
});

test('one that closes its process takes down what it showed', async () => {
  const worker = open('closed', 'worker');
  await worker.trip();
  await until(async () => (await worker.breakers.list()).length === 1, { within: 5_000, what: 'it to be shown' });
  worker.close();
  await until(async () => (await worker.breakers.list()).length === 0, { within: 5_000, what: 'it to be gone' });
});

test.each<[ErrorCode, boolean]>([
  ['CANCELLED', true],
  ['TIMED_OUT', true],
  ['ORIGIN_UNREADABLE', true],
  ['NOT_FOUND', false],
  ['STORE_FULL', false],
])('of a store that is away %s in between says nothing: %s', async (code, opens) => {
  const worker = open(`between-${code}`, 'worker');
  const { head } = worker.store;
  for (let at = 0; at < 4; at += 1) await head().catch(() => undefined);
  worker.state.code = code;
  await head().catch(() => undefined);
  delete worker.state.code;
  await head().catch(() => undefined);
  expect(worker.breakers.store.refusal !== undefined).toBe(opens);
  worker.close();
});
