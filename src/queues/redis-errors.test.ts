import { describe, expect, it } from 'vitest';
import { AppError } from '#errors';
import { connectRedis, whenConnected } from '#redis/connection.ts';
import { freePort } from '#test/free-port.ts';
import { startRedis } from '#test/redis.ts';
import { toJobError } from './redis-errors.ts';

const errorOf = (work: Promise<unknown>): Promise<unknown> => work.catch((error: unknown) => error);

describe('an error of Redis', () => {
  it('that refuses for now is Redis being away', async () => {
    const server = await startRedis({ 'min-replicas-to-write': '1' });
    const redis = connectRedis(server.url, 'caller', () => undefined);
    await whenConnected(redis, 5_000);
    const refused = await errorOf(redis.set('a', '1'));
    await server.kill();
    const gone = await errorOf(redis.set('a', '1'));
    redis.disconnect();
    const closed = await errorOf(redis.set('a', '1'));
    await server.stop();
    for (const error of [refused, gone, closed]) expect(toJobError(error)).toMatchObject({ unavailable: true });
  });

  it('of a Cluster without any node is Redis being away', async () => {
    const redis = connectRedis(`redis+cluster://127.0.0.1:${await freePort()}`, 'caller', () => undefined);
    const away = await errorOf(redis.set('a', '1'));
    redis.disconnect();
    expect(toJobError(away)).toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
  });
});

it('any other error stays what it is', () => {
  expect(toJobError(new TypeError('a fault'))).toMatchObject({ code: 'INTERNAL' });
  const own = new AppError('NOT_FOUND', 'nowhere');
  expect(toJobError(own)).toBe(own);
});
