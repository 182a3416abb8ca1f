import { createRequire } from 'node:module';
import { ErrorCode } from 'bullmq';
import { describe, expect, it } from 'vitest';
import { AppError } from '#errors';
import { connectRedis, whenConnected } from '#redis/connection.ts';
import { freePort } from '#test/free-port.ts';
import { startRedis } from '#test/redis.ts';
import { toJobError } from './redis-errors.ts';
import { REDIS_FAILURES } from './redis-failures.ts';

const says = REDIS_FAILURES.flatMap((row) => row.says);

/** First words of the replies in the source of Redis 7 (`grep -o '"-[A-Z]\{3,\}'`). */
const REDIS_WORDS = [
  ...['ASK', 'BUSY', 'BUSYGROUP', 'BUSYKEY', 'CLUSTERDOWN', 'CROSSSLOT', 'DENIED', 'ERR', 'EXECABORT', 'INPROG'],
  ...['INVALIDOBJ', 'IOERR', 'LOADING', 'MASTERDOWN', 'MISCONF', 'MOVED', 'NOAUTH', 'NOGOODSLAVE', 'NOGROUP'],
  ...['NOMASTERLINK', 'NOPERM', 'NOPROTO', 'NOQUORUM', 'NOREPLICAS', 'NOSCRIPT', 'NOTBUSY', 'OOM', 'READONLY'],
  ...['TRYAGAIN', 'UNBLOCKED', 'UNKILLABLE', 'WRONGPASS', 'WRONGTYPE'],
];

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

describe('an error that Redis answers with', () => {
  const reply = (message: string) => Object.assign(new Error(message), { name: 'ReplyError' });

  it.each([
    ["OOM command not allowed when used memory > 'maxmemory'. script: 1f, on @user_script:3.", 'QUEUE_UNAVAILABLE'],
    ['ERR Error running script (call to f_1f): @user_script:3: -OOM command not allowed', 'QUEUE_UNAVAILABLE'],
    ['BUSY Redis is busy running a script.', 'QUEUE_UNAVAILABLE'],
    ['NOPERM this user has no permissions', 'QUEUE_UNAVAILABLE'],
    ['ERR max number of clients reached', 'QUEUE_UNAVAILABLE'],
    ['BUSYKEY Target key name already exists.', 'INTERNAL'],
    ['WRONGTYPE Operation against a key holding the wrong kind of value', 'INTERNAL'],
    ['ERR user_script:1: Script attempted to access a non local key', 'INTERNAL'],
    ['SOMETHINGNEW', 'INTERNAL'],
  ])('%s is %s', (message, code) => {
    expect(toJobError(reply(message))).toMatchObject({ code, retryable: true });
  });

  it('says who must correct a login that is refused', () => {
    expect(toJobError(reply('WRONGPASS invalid username-password pair')).message).toContain('REDIS_URL');
  });

  it.each(REDIS_WORDS)('has a row: %s', (word) => {
    expect(says).toContain(word);
  });

  it('has a row, whatever its class', () => {
    const { RedisError, ...classes } = createRequire(import.meta.resolve('ioredis'))('redis-errors');
    const names = [RedisError, ...Object.values<{ name: string }>(classes)].map(({ name }) => name);
    expect(names.filter((name) => name !== 'ReplyError' && !says.includes(name))).toEqual([]);
    const codes = Object.values(ErrorCode).filter((name) => typeof name === 'string');
    expect(codes.filter((name) => !says.includes(name))).toEqual([]);
  });
});

it('any other error stays what it is', () => {
  expect(toJobError(new TypeError('a fault'))).toMatchObject({ code: 'INTERNAL' });
  expect(toJobError(new DOMException('aborted', 'AbortError'))).toMatchObject({ code: 'INTERNAL' });
  expect(toJobError('a string')).toMatchObject({ code: 'INTERNAL', message: 'a string' });
  const own = new AppError('NOT_FOUND', 'nowhere');
  expect(toJobError(own)).toBe(own);
});
