import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { createSharedLayer } from '#cache/shared-layer.ts';
import {
  connectRedis,
  openBlocking,
  openSubscriber,
  type RedisConnection,
  type RedisRole,
  whenConnected,
} from '#redis/connection.ts';
import { startRedis } from '#test/redis.ts';
import { until } from '#test/until.ts';
import { startCluster, type TestCluster } from './cluster.ts';
import { startSentinels } from './sentinels.ts';

async function connected(url: string, role: RedisRole): Promise<RedisConnection> {
  const redis = connectRedis(url, role, () => undefined);
  onTestFinished(() => redis.disconnect());
  await whenConnected(redis, 10_000);
  return redis;
}

const settled = async (work: Promise<unknown>): Promise<'settled' | 'waiting'> =>
  Promise.race([
    work.then(
      () => 'settled' as const,
      () => 'settled' as const,
    ),
    new Promise<'waiting'>((resolve) => setImmediate(() => setImmediate(resolve, 'waiting'))),
  ]);

describe('a server that became a replica', () => {
  it('makes a worker wait for its master, and a caller say so', async () => {
    const [server, elsewhere] = await Promise.all([startRedis(), startRedis()]);
    onTestFinished(() => Promise.all([server.stop(), elsewhere.stop()]).then(() => undefined));
    const admin = await connected(server.url, 'caller');
    const worker = await connected(server.url, 'worker');
    const caller = await connected(server.url, 'caller');
    await admin.call('REPLICAOF', '127.0.0.1', String(elsewhere.port));
    await expect(caller.set('a', '1')).rejects.toThrow('READONLY');
    const write = worker.set('a', '2');
    await until(() => worker.status !== 'ready', { within: 5_000, what: 'the worker to look for the master' });
    expect(await settled(write)).toBe('waiting');
    await admin.call('REPLICAOF', 'NO', 'ONE');
    expect(await write).toBe('OK');
    await whenConnected(caller, 5_000);
    expect(await caller.get('a')).toBe('2');
  });
});

describe('a master that wants replicas it has not', () => {
  it('makes a worker wait, and a caller say so', async () => {
    const server = await startRedis({ 'min-replicas-to-write': '1' });
    onTestFinished(() => server.stop());
    const worker = await connected(server.url, 'worker');
    const caller = await connected(server.url, 'caller');
    await expect(caller.set('a', '1')).rejects.toThrow('NOREPLICAS');
    const write = worker.set('a', '2');
    await until(() => worker.status !== 'ready', { within: 5_000, what: 'the worker to try again' });
    await caller.config('SET', 'min-replicas-to-write', '0');
    expect(await write).toBe('OK');
  });
});

describe('a switch by Sentinels', () => {
  it('is followed by workers and callers', async () => {
    const sentinels = await startSentinels();
    onTestFinished(() => sentinels.stop());
    const worker = await connected(sentinels.url, 'worker');
    const caller = await connected(sentinels.url, 'caller');
    await sentinels.failover();
    await worker.set('a', 'after');
    const read = () => caller.get('a').catch(() => undefined);
    await until(async () => (await read()) === 'after', { within: 10_000, what: 'the caller to see the new master' });
  });
});

describe('a Cluster', () => {
  let cluster: TestCluster;

  beforeAll(async () => {
    cluster = await startCluster();
  });
  afterAll(() => cluster?.stop());

  it('keeps URLs of assets wherever their keys fall', async () => {
    const layer = createSharedLayer(await connected(cluster.url, 'caller'), 'roles');
    const assetIds = Array.from({ length: 50 }, (_, index) => `a_${index}`);
    await layer.drop(assetIds, true);
    const remembered = await layer.read(assetIds);
    expect([...remembered.values()]).toEqual(assetIds.map(() => ({ epoch: '1', value: 'deleted' })));
  });

  it('answers commands that wait, at the first use of their connection', async () => {
    const caller = await connected(cluster.url, 'caller');
    const blocking = openBlocking(caller);
    onTestFinished(() => blocking.disconnect());
    const popped = blocking.blpop('roles:list', 10);
    await caller.rpush('roles:list', 'hello');
    expect(await popped).toEqual(['roles:list', 'hello']);
  });

  it('carries messages from any process to any other', async () => {
    const caller = await connected(cluster.url, 'caller');
    const subscriber = openSubscriber(caller);
    onTestFinished(() => subscriber.disconnect());
    const heard: string[] = [];
    subscriber.on('message', (_channel: string, message: string) => heard.push(message));
    await whenConnected(subscriber, 10_000);
    await subscriber.subscribe('roles:news');
    await caller.publish('roles:news', 'hello');
    await until(() => heard.includes('hello'), { within: 5_000, what: 'the message' });
  });

  it('whose master is gone makes a worker wait for the next one, and a caller say so at once', async () => {
    const worker = await connected(cluster.url, 'worker');
    const caller = await connected(cluster.url, 'caller');
    const master = await cluster.masterOf('a');
    await master.kill();
    expect(
      await until(
        () =>
          caller.set('a', '1').then(
            () => false,
            () => true,
          ),
        { within: 1_000, what: 'a refusal' },
      ),
    ).toBe(true);
    expect(await worker.set('a', '2')).toBe('OK');
    const read = () => caller.get('a').catch(() => undefined);
    await until(async () => (await read()) === '2', { within: 20_000, what: 'the caller to see the new master' });
    await master.start();
    await cluster.whole();
  }, 60_000);
});
