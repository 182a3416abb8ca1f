import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { AppError } from '#errors';
import { connectRedis, type RedisConnection, whenConnected } from '#redis/connection.ts';
import { startRedis, type TestRedis } from '#test/redis.ts';
import { type Batches, createBatches } from './batches.ts';
import { newBatchId } from './ids.ts';

let server: TestRedis;
let redis: RedisConnection;
let batches: Batches;
let batchId: string;

beforeAll(async () => {
  server = await startRedis();
  redis = connectRedis(server.url, 'caller', () => undefined);
  await whenConnected(redis, 5_000);
  batches = createBatches(redis, 'batches-test');
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});
const record = (id: string) => ({
  batchId: id,
  entity: { project: 'p', session: 's' },
  owner: 'key',
  total: 2,
  size: 30,
  firstSeq: 1,
  packs: 2,
  createdAt: 7,
});
beforeEach(async () => {
  batchId = newBatchId();
  await batches.open(record(batchId), 'accepting');
});

const broken = new AppError('CHECKSUM_MISMATCH', 'other bytes').toFacts();

describe('a batch', () => {
  it('may run once it is accepted', async () => {
    expect(await batches.acceptance(batchId, 0)).toBe('accepting');
    expect(await batches.accept(batchId)).toBe(true);
    expect(await batches.acceptance(batchId, 0)).toBe('accepted');
  });

  it('is either accepted or given up, whichever comes first', async () => {
    await batches.accept(batchId);
    expect(await batches.abandon(batchId, 0)).toBe(false);
    expect(await batches.acceptance(batchId, 0)).toBe('accepted');

    const late = newBatchId();
    await batches.open(record(late), 'accepting');
    expect(await batches.abandon(late, 0)).toBe(true);
    expect(await batches.abandon(late, 0)).toBe(true);
    expect(await batches.accept(late)).toBe(false);
    expect(await batches.acceptance(late, 0)).toBe('abandoned');
  });

  it('runs, then is done with its last file, whichever end each came to', async () => {
    await batches.accept(batchId);
    expect(await batches.view(batchId)).toMatchObject({ state: 'accepted', successful: [], failed: [] });
    expect(await batches.finish(batchId, [['a', 'ready']])).toEqual({ last: false });
    expect(await batches.view(batchId)).toMatchObject({ state: 'running', successful: ['a'] });
    expect(await batches.finish(batchId, [['b', broken]])).toEqual({ last: true });
    expect(await batches.view(batchId)).toEqual({
      ...{ batchId, project: 'p', owner: 'key', state: 'done', total: 2, size: 30, createdAt: 7 },
      ...{ successful: ['a'], failed: [{ assetId: 'b', error: broken }] },
    });
  });

  it('tells how one of its files ended', async () => {
    await batches.finish(batchId, [['a', 'stored']]);
    expect(await batches.endOf(batchId, 'a')).toBeUndefined();
    const tried = { ...broken, attempt: 1, maxAttempts: 3 };
    await batches.finish(batchId, [
      ['a', 'ready'],
      ['b', tried],
    ]);
    expect(await batches.endOf(batchId, 'a')).toBe('ready');
    expect(await batches.endOf(batchId, 'b')).toEqual(broken);
    expect(await batches.endOf(newBatchId(), 'a')).toBeUndefined();
  });

  it('takes the end of a file twice as once', async () => {
    await batches.finish(batchId, [['a', 'ready']]);
    expect(await batches.finish(batchId, [['a', 'ready']])).toEqual({ last: false });
  });

  it('lets a replay turn a failure into ready, and never the other way', async () => {
    await batches.finish(batchId, [['a', broken]]);
    await batches.finish(batchId, [['a', 'ready']]);
    await batches.finish(batchId, [['a', broken]]);
    expect(await batches.view(batchId)).toMatchObject({ successful: ['a'], failed: [] });
  });
});

describe('a batch that Redis has forgotten', () => {
  it('is not half remembered by a late file', async () => {
    const forgotten = newBatchId();
    expect(await batches.finish(forgotten, [['a', 'ready']])).toEqual({ last: true });
    expect(await batches.view(forgotten)).toBeUndefined();
    expect(await batches.acceptance(forgotten, 0)).toBe('accepted');
    expect(await batches.abandon(forgotten, 0)).toBe(false);
  });
});
