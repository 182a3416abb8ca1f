import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startRedis, type TestRedis } from '#test/redis.ts';
import { until } from '#test/until.ts';
import { connectRedis, type RedisConnection, whenConnected } from './connection.ts';
import { openReplicas, type Replicas } from './replicas.ts';

const FAST = { 'repl-diskless-sync-delay': '0' };
let master: TestRedis;
let replica: TestRedis;
let redis: RedisConnection;
let replicas: Replicas;

beforeEach(async () => {
  master = await startRedis({ ...FAST, 'enable-debug-command': 'local' });
  replica = await startRedis({ ...FAST, replicaof: `127.0.0.1 ${master.port}` });
  redis = connectRedis(master.url, 'caller', () => undefined);
  await whenConnected(redis, 5_000);
  await replicaLinked();
  replicas = openReplicas(redis, 'test', 1);
  const first = () => replicas.keep(['a'], async () => true).catch(() => false);
  await until(first, { within: 5_000, what: 'its own connection' });
});
afterEach(async () => {
  replicas.close();
  redis.disconnect();
  await Promise.all([master.stop(), replica.stop()]);
});

const replicaLinked = () =>
  until(async () => (await redis.info('replication')).includes('state=online'), { within: 10_000, what: 'a replica' });

describe('a write to keep', () => {
  it('is on a replica by the time it is answered', async () => {
    const reader = new Redis(replica.url);
    for (let round = 0; round < 20; round++) {
      expect(await replicas.keep(['a'], () => redis.set('a', round))).toBe('OK');
      expect(await reader.get('a')).toBe(String(round));
    }
    reader.disconnect();
  });

  it('is not acknowledged while there are too few replicas, and is once they are back', async () => {
    await replica.kill();
    const write = () => replicas.keep(['a'], () => redis.set('a', 1));
    await expect(write()).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE', details: { mayRun: true } });
    await replica.start();
    await replicaLinked();
    await write();
  });

  it('is not acknowledged when another master took over after it, though that one has replicas', async () => {
    const takesOver = async () => {
      await redis.set('a', 1);
      await redis.call('DEBUG', 'CHANGE-REPL-ID');
    };
    await expect(replicas.keep(['a'], takesOver)).rejects.toThrow('another master has taken over');
    await replicas.keep(['a'], () => redis.set('a', 2));
  });

  it('keeps its own error', async () => {
    await expect(replicas.keep(['a'], () => redis.hset('a', 'b', 'c').then(() => redis.get('a')))).rejects.toThrow(
      'WRONGTYPE',
    );
  });
});
